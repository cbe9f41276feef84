package postern_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

func host(t *testing.T, s string) postern.Hostname {
	t.Helper()
	name, err := postern.ParseHostname(s)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestParseHostname(t *testing.T) {
	label63, label64 := strings.Repeat("a", 63), strings.Repeat("a", 64)
	long := strings.Repeat("abcdefg.", 31) + "abcde" // 253 characters
	for in, want := range map[string]postern.Hostname{
		"example.com":           "example.com",
		"EXAMPLE.Com.":          "example.com",
		"localhost":             "localhost",
		"*.example.com":         "*.example.com",
		"a_b.c-d.e":             "a_b.c-d.e",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
		label63 + ".x":          postern.Hostname(label63 + ".x"),
		long:                    postern.Hostname(long),
	} {
		if got, err := postern.ParseHostname(in); got != want || err != nil {
			t.Errorf("ParseHostname(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", "*", "*.", "*.*.example.com", "a.*.example.com", "a..b", ".a", "a..",
		"-a.example", "a-.example", "a b", "a:80", "a/b", "a@b", "b\u00fccher.example", "a\x00b", "[::1]",
		label64 + ".x", long + "f",
	} {
		if got, err := postern.ParseHostname(in); !postern.HasCode(err, postern.CodeHostnameInvalid) {
			t.Errorf("ParseHostname(%q) = %q, %v; want %s", in, got, err, postern.CodeHostnameInvalid)
		}
	}
}

func TestHostnameRelations(t *testing.T) {
	for _, c := range []struct {
		h, other      postern.Hostname
		under, covers bool // h under other; other covers h
	}{
		{"a.example.com", "example.com", true, false},
		{"a.b.example.com", "example.com", true, false},
		{"example.com", "example.com", false, true},
		{"xexample.com", "example.com", false, false},
		{"a.example.com", "", false, false},
		{"a.example.com", "*.example.com", false, true},
		{"a.b.example.com", "*.example.com", false, true},
		{"*.example.com", "*.example.com", false, true},
		{"*.a.example.com", "*.example.com", false, true},
		{"*.example.com", "*.a.example.com", false, false},
		{"example.com", "*.example.com", false, false},
		{"*.example.com", "example.com", true, false},
	} {
		if got := c.h.Under(c.other); got != c.under {
			t.Errorf("%q.Under(%q) = %v", c.h, c.other, got)
		}
		if got := c.other.Covers(c.h); got != c.covers {
			t.Errorf("%q.Covers(%q) = %v", c.other, c.h, got)
		}
	}
	if got := host(t, "a.b.c").Parent(); got != "b.c" {
		t.Errorf("Parent = %q", got)
	}
	if got := host(t, "c").Parent(); got != "" {
		t.Errorf("Parent of a single label = %q", got)
	}
}

// Whatever is accepted is in one canonical form, and so are its relatives.
func FuzzParseHostname(f *testing.F) {
	for _, seed := range []string{"example.com", "*.A.b.", "xn--a", "a..b", "\u212aelvin.example", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := postern.ParseHostname(s)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d characters", len(err.Error()))
			}
			return
		}
		again, err := postern.ParseHostname(name.String())
		if err != nil || again != name {
			t.Fatalf("%q was read as %q and that as %q, %v", s, name, again, err)
		}
		for _, c := range []byte(name) {
			if c >= 0x80 || 'A' <= c && c <= 'Z' || c <= ' ' {
				t.Fatalf("%q was read as %q, which holds %q", s, name, c)
			}
		}
		if !name.Covers(name) || name.Under(name) {
			t.Fatalf("%q does not cover itself, or is below itself", name)
		}
		if sub := "x." + name; !name.Wildcard() && !sub.Under(name) {
			t.Fatalf("%q is not below %q", sub, name)
		}
	})
}
