package postern_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

func acl(t *testing.T, rules ...string) postern.ACL {
	t.Helper()
	parsed, err := postern.ParseACL(rules)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func requested(t *testing.T, s string) postern.URL {
	t.Helper()
	req, err := postern.ParseURLRequest(s, postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	return postern.URL{Scheme: req.Scheme, Host: req.Host, Port: req.Port}
}

func TestACLAllowsURLs(t *testing.T) {
	for _, c := range []struct {
		rules      []string
		ok, refuse []string
	}{
		{nil, []string{"a.ex.com", "tcp://1.tcp.h:2000"}, nil},
		{[]string{"*"}, []string{"a.ex.com", "tcp://1.tcp.h:2000"}, nil},
		{[]string{"bind:*"}, []string{"a.ex.com", "tcp://1.tcp.h:2000"}, nil},
		{[]string{"bind:foo.ex.com"}, []string{"foo.ex.com", "FOO.ex.com.", "http://foo.ex.com", "tls://foo.ex.com"},
			[]string{"a.foo.ex.com", "bar.ex.com", "ex.com"}},
		{[]string{"bind:*.c1.ex.com"}, []string{"a.c1.ex.com", "a.b.c1.ex.com", "*.c1.ex.com", "A.C1.EX.COM.", "*.a.c1.ex.com"},
			[]string{"c1.ex.com", "xc1.ex.com", "a.c1.ex.com.evil.com", "*.ex.com"}},
		{[]string{"bind:*.a.ex.com"}, nil, []string{"*.ex.com"}},
		{[]string{"bind:1.tcp.h:2000"}, []string{"tcp://1.tcp.h:2000"},
			[]string{"tcp://1.tcp.h:20001", "tcp://1.tcp.h", "tcp://2.tcp.h:2000", "https://1.tcp.h"}},
		{[]string{"bind:app.ex.com:443"}, []string{"https://app.ex.com"}, []string{"http://app.ex.com"}},
		{[]string{"bind:app=*"}, nil, []string{"app.ex.com", "tcp://1.tcp.h:2000"}},
		{[]string{"bind:a.ex.com", "bind:b.ex.com"}, []string{"a.ex.com", "b.ex.com"}, []string{"c.ex.com"}},
	} {
		list := acl(t, c.rules...)
		for _, u := range c.ok {
			if !list.Allows(requested(t, u)) {
				t.Errorf("%v refuses %s", c.rules, u)
			}
		}
		for _, u := range c.refuse {
			if list.Allows(requested(t, u)) {
				t.Errorf("%v allows %s", c.rules, u)
			}
		}
		if got := list.Strings(); !slices.Equal(got, append([]string{}, c.rules...)) {
			t.Errorf("Strings = %q, want %q", got, c.rules)
		}
	}
}

func TestACLAllowsLabels(t *testing.T) {
	type labels = map[string]string
	for _, c := range []struct {
		rules  []string
		labels labels
		want   bool
	}{
		{nil, labels{"app": "x"}, true},
		{[]string{"bind:app=*"}, labels{"app": "x"}, true},
		{[]string{"bind:app=*"}, labels{"App": "x"}, false},
		{[]string{"bind:app=*"}, labels{"x": "app"}, false},
		{[]string{"bind:app=*"}, labels{"app": "x", "env": "y"}, false},
		{[]string{"bind:app=*", "bind:*=y"}, labels{"app": "x", "env": "y"}, true},
		{[]string{"bind:foo=bar"}, labels{"foo": "bar"}, true},
		{[]string{"bind:foo=bar"}, labels{"foo": "baz"}, false},
		{[]string{"bind:foo=bar"}, labels{}, false},
		{[]string{"bind:*"}, labels{"any": "thing"}, true},
		{[]string{"bind:a.ex.com"}, labels{"a.ex.com": ""}, false},
	} {
		if got := acl(t, c.rules...).AllowsLabels(c.labels); got != c.want {
			t.Errorf("%v allows %v = %v", c.rules, c.labels, got)
		}
	}
}

func TestACLRefusesRules(t *testing.T) {
	for _, rule := range []string{
		"", "bind:", "bind", "app.ex.com", "deny:*", "BIND:*", "bind:=x", "bind:x=", "bind:a..b",
		"bind:*.*.b", "bind:a:0", "bind:a:65536", "bind:a:http", "bind:https://a", "bind:*:80",
	} {
		if _, err := postern.ParseACL([]string{"*", rule}); !postern.HasCode(err, postern.CodeACLInvalid) {
			t.Errorf("ParseACL(%q) = %v, want %s", rule, err, postern.CodeACLInvalid)
		}
	}
}

// A rule survives being written and read, and allows no name but those it spells.
func FuzzParseACL(f *testing.F) {
	f.Add("bind:*.c1.ex.com", "a.c1.ex.com")
	f.Add("bind:1.tcp.h:2000", "1.tcp.h")
	f.Add("bind:app=*", "app")
	f.Add("*", "x")
	f.Fuzz(func(t *testing.T, rule, name string) {
		list, err := postern.ParseACL([]string{rule})
		if err != nil {
			return
		}
		again, err := postern.ParseACL(list.Strings())
		if err != nil || len(again) != 1 || again[0] != list[0] {
			t.Fatalf("%q is not read again as itself: %v", rule, err)
		}
		h, err := postern.ParseHostname(name)
		if err != nil || rule == "*" || rule == "bind:*" || !list.Allows(postern.URL{Scheme: postern.HTTPS, Host: h}) {
			return
		}
		spelled := strings.ToLower(strings.TrimPrefix(rule, "bind:"))
		spelled, _, _ = strings.Cut(spelled, ":")
		spelled = strings.TrimSuffix(spelled, ".")
		below, wild := strings.CutPrefix(spelled, "*")
		if string(h) != spelled && !(wild && strings.HasSuffix(string(h), below)) {
			t.Fatalf("%q allows %q", rule, h)
		}
	})
}
