package ec2

import (
	"reflect"
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// TestUnserved: each member that is named is refused by its name before anything
// is made, and is one of the operation's.
func TestUnserved(t *testing.T) {
	l := newLab(t)
	handlers := l.s.Registration().Handlers
	for operation, members := range unserved {
		op := ec2api.Model.Operations[operation]
		if op == nil {
			t.Errorf("%s is not served at all", operation)
			continue
		}
		for _, m := range members {
			in := op.NewInput()
			ask(reflect.ValueOf(in).Elem().FieldByName(m))
			if _, err := handlers[operation](l.ctx, in); !aws.IsCode(err, "UnsupportedOperation") {
				t.Errorf("%s with %s: %v", operation, m, err)
			}
		}
	}
}

// ask sets a member to something.
func ask(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		ask(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		ask(v.Field(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(1)
	}
}

func TestInterfaceThatOutlivesItsInstance(t *testing.T) {
	for _, n := range []ec2api.InstanceNetworkInterfaceSpecification{{DeleteOnTermination: aws.Ptr(false)}, {SecondaryPrivateIpAddressCount: aws.Ptr(int32(1))}} {
		if err := checkInterfaceSpecification(&n); !aws.IsCode(err, "UnsupportedOperation") {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if err := checkInterfaceSpecification(&ec2api.InstanceNetworkInterfaceSpecification{DeleteOnTermination: aws.Ptr(true)}); err != nil {
		t.Error(err)
	}
}
