package ids

import (
	"regexp"
	"testing"
)

// TestForms: every id is of its form, and no two are the same.
func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		make func() string
		form string
	}{
		"hex, odd":  {func() string { return Hex(17) }, `^[0-9a-f]{17}$`},
		"EC2":       {func() string { return EC2("vpc") }, `^vpc-0[0-9a-f]{16}$`},
		"UUID":      {UUID, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		"Base32":    {func() string { return Base32(16) }, `^[A-Z2-7]{16}$`},
		"Alnum":     {func() string { return Alnum(20) }, `^[a-z0-9]{20}$`},
		"not a one": {func() string { return Hex(0) + UUID() }, `^[0-9a-f-]{36}$`},
	} {
		form, seen := regexp.MustCompile(c.form), map[string]bool{}
		for range 1000 {
			id := c.make()
			if !form.MatchString(id) || seen[id] {
				t.Fatalf("%s: %q, seen before: %v", name, id, seen[id])
			}
			seen[id] = true
		}
	}
}
