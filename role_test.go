package postern_test

import (
	"slices"
	"testing"

	"github.com/postern-dev/postern"
)

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		role                          postern.Role
		read, write, administer, owns bool
		grants                        []postern.Role
	}{
		{postern.Owner, true, true, true, true, []postern.Role{"owner", "admin", "developer", "read_only"}},
		{postern.Admin, true, true, true, false, []postern.Role{"admin", "developer", "read_only"}},
		{postern.Developer, true, true, false, false, nil},
		{postern.ReadOnly, true, false, false, false, nil},
		{"", false, false, false, false, nil},
		{"Owner", false, false, false, false, nil},
	} {
		if c.role.MayRead() != c.read || c.role.MayWrite() != c.write || c.role.MayAdminister() != c.administer || c.role.Allows(postern.Own) != c.owns {
			t.Errorf("%q may do something else", c.role)
		}
		for _, other := range append(postern.Roles(), "", "root") {
			if want := slices.Contains(c.grants, other); c.role.MayGrant(other) != want {
				t.Errorf("%q may grant %q: %v, want %v", c.role, other, !want, want)
			}
		}
		if c.role.Allows(postern.Own + 1) {
			t.Errorf("%q may do what there is not", c.role)
		}
	}
}

func TestParseRole(t *testing.T) {
	for _, role := range postern.Roles() {
		if got, err := postern.ParseRole(string(role)); got != role || err != nil {
			t.Errorf("%q: %q, %v", role, got, err)
		}
	}
	for _, bad := range []string{"", "OWNER", "read-only", "root"} {
		if got, err := postern.ParseRole(bad); got != "" || !postern.HasCode(err, postern.CodeFieldInvalid) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}
