package aws

import (
	"fmt"
	"reflect"
)

// Asked returns the first of some members of a structure, by their Go names,
// that asks for something: set, and to more than false, 0, "" or nothing. A
// service names with it what it would otherwise accept and not do.
func Asked(in any, members ...string) (name string, asked bool) {
	v := reflect.Indirect(reflect.ValueOf(in))
	for _, m := range members {
		f := v.FieldByName(m)
		if !f.IsValid() {
			panic(fmt.Sprintf("aws: %s has no member %s", v.Type(), m))
		}
		if asks(f) {
			return m, true
		}
	}
	return "", false
}

func asks(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && asks(v.Elem())
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	case reflect.Struct:
		for i := range v.NumField() {
			if asks(v.Field(i)) {
				return true
			}
		}
		return false
	}
	return !v.IsZero()
}

// Text is a string member of an input, by its Go name, "" where the input has no
// such member: what is asked of many operations and is a part of some.
func Text(in any, member string) string {
	f := reflect.ValueOf(in).Elem().FieldByName(member)
	if !f.IsValid() {
		return ""
	}
	p, _ := f.Interface().(*string)
	return Val(p)
}
