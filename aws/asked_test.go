package aws_test

import (
	"testing"

	"minato/aws"
)

func TestAsked(t *testing.T) {
	type part struct{ Value *bool }
	type input struct {
		Flag  *bool
		Count *int32
		Text  *string
		List  []string
		Part  *part
	}
	all := []string{"Flag", "Count", "Text", "List", "Part"}
	for _, c := range []struct {
		name string
		in   input
		want string
	}{
		{"nothing", input{}, ""},
		{"set to what it is without", input{aws.Ptr(false), aws.Ptr(int32(0)), aws.Ptr(""), []string{}, &part{aws.Ptr(false)}}, ""},
		{"a flag", input{Flag: aws.Ptr(true), Text: aws.Ptr("x")}, "Flag"},
		{"a number", input{Count: aws.Ptr(int32(2))}, "Count"},
		{"a list", input{List: []string{""}}, "List"},
		{"a part", input{Part: &part{aws.Ptr(true)}}, "Part"},
	} {
		if got, asked := aws.Asked(&c.in, all...); got != c.want || asked != (c.want != "") {
			t.Errorf("%s: %q, %t; want %q", c.name, got, asked, c.want)
		}
	}
}
