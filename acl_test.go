package postern_test

import (
	"slices"
	"strconv"
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
		{nil, []string{"a.ex.com", "tcp://1.tcp.h:2000", "tcp://1.tcp.h"}, nil},
		{[]string{"*"}, []string{"a.ex.com", "tcp://1.tcp.h:2000", "tcp://1.tcp.h"}, nil},
		{[]string{"bind:*"}, []string{"a.ex.com", "tcp://1.tcp.h:2000", "tcp://1.tcp.h"}, nil},
		{[]string{"bind:foo.ex.com"}, []string{"foo.ex.com", "FOO.ex.com.", "http://foo.ex.com", "tls://foo.ex.com"},
			[]string{"a.foo.ex.com", "bar.ex.com", "ex.com", "*.foo.ex.com", "tcp://foo.ex.com:2000", "tcp://foo.ex.com"}},
		{[]string{"bind:*.c1.ex.com"}, []string{"a.c1.ex.com", "a.b.c1.ex.com", "*.c1.ex.com", "A.C1.EX.COM.", "*.a.c1.ex.com"},
			[]string{"c1.ex.com", "xc1.ex.com", "a.c1.ex.com.evil.com", "*.ex.com", "tcp://a.c1.ex.com:2000", "tcp://tcp.ex.com"}},
		{[]string{"bind:*.C1.EX.com."}, []string{"a.c1.ex.com"}, []string{"c1.ex.com"}},
		{[]string{"bind:*.a.ex.com"}, []string{"*.b.a.ex.com"}, []string{"*.ex.com"}},
		{[]string{"bind:xn--bcher-kva.ex.com"}, []string{"XN--BCHER-KVA.ex.com"}, nil},
		{[]string{"bind:1.tcp.h:2000"}, []string{"tcp://1.tcp.h:2000"},
			[]string{"tcp://1.tcp.h:20001", "tcp://1.tcp.h", "tcp://2.tcp.h:2000", "https://1.tcp.h"}},
		{[]string{"bind:1.tcp.h"}, nil, []string{"tcp://1.tcp.h:2000", "tcp://1.tcp.h"}},
		{[]string{"bind:app.ex.com:443"}, []string{"https://app.ex.com", "https://app.ex.com:443"}, []string{"http://app.ex.com", "tcp://app.ex.com"}},
		{[]string{"bind:app=*"}, nil, []string{"app.ex.com", "tcp://1.tcp.h:2000"}},
		{[]string{"bind:a.ex.com", "bind:b.ex.com"}, []string{"a.ex.com", "b.ex.com"}, []string{"c.ex.com"}},
		{[]string{"bind:alias1.internal"},
			[]string{"https://alias1.internal", "http://alias1.internal:8080", "tcp://alias1.internal:22", "tls://alias1.internal:8443"},
			[]string{"https://alias2.internal", "tcp://alias1.internal", "tcp://alias1.internal.ex.com:22"}},
		{[]string{"bind:*.gateway1.internal"}, []string{"https://a.gateway1.internal", "tcp://a.b.gateway1.internal:22"},
			[]string{"https://gateway1.internal", "tcp://gateway2.internal:22"}},
		{[]string{"bind:alias1.internal:8080"}, []string{"http://alias1.internal:8080", "tcp://alias1.internal:8080"},
			[]string{"http://alias1.internal", "tcp://alias1.internal:8081"}},
		{[]string{"access:*:*"}, nil, []string{"a.ex.com", "tcp://1.tcp.h:2000", "tcp://1.tcp.h", "https://gw.internal"}},
		{[]string{"access:office:22", "bind:a.ex.com"}, []string{"a.ex.com"}, []string{"office", "tcp://office:22"}},
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
		if got := list.Allows(postern.URL{Scheme: postern.TCP, Host: "tcp.ex.com"}); got != list.AllowsAnyAddress() {
			t.Errorf("%v allows an address that the server chooses = %v, AllowsAnyAddress = %v", c.rules, got, list.AllowsAnyAddress())
		}
	}
}

// Rules for udp endpoints are those for tcp, with a host of their own.
func TestACLOfUDP(t *testing.T) {
	list := acl(t, "bind:udp.ex.com:20001", "bind:*.c1.ex.com", "bind:tcp.ex.com:20002")
	for u, want := range map[string]bool{
		"udp://udp.ex.com:20001": true, "udp://udp.ex.com:20002": false, "tcp://udp.ex.com:20002": false,
		"udp://a.c1.ex.com:20001": false, "tcp://tcp.ex.com:20002": true,
	} {
		if got := list.Allows(requested(t, u)); got != want {
			t.Errorf("%s is allowed: %v", u, got)
		}
	}
	if list.Allows(postern.URL{Scheme: postern.UDP, Host: "udp.ex.com"}) {
		t.Error("an address that the server chooses is allowed")
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
		{nil, labels{}, true},
		{[]string{"*"}, labels{"app": "x"}, true},
		{[]string{"bind:app=*"}, labels{"app": "x"}, true},
		{[]string{"bind:app=*"}, labels{"App": "x"}, false},
		{[]string{"bind:app=*"}, labels{"x": "app"}, false},
		{[]string{"bind:app=*"}, labels{"app": "x", "env": "y"}, false},
		{[]string{"bind:app=*", "bind:*=y"}, labels{"app": "x", "env": "y"}, true},
		{[]string{"bind:*=example"}, labels{"app": "example"}, true},
		{[]string{"bind:*=example"}, labels{"example": "app"}, false},
		{[]string{"bind:foo=bar"}, labels{"foo": "bar"}, true},
		{[]string{"bind:foo=bar"}, labels{"foo": "baz"}, false},
		{[]string{"bind:foo=bar"}, labels{}, false},
		{[]string{"bind:foo=a=b"}, labels{"foo": "a=b"}, true},
		{[]string{"bind:*"}, labels{"any": "thing"}, true},
		{[]string{"bind:a.ex.com"}, labels{"a.ex.com": ""}, false},
		{[]string{"access:*:*"}, labels{"app": "x"}, false},
	} {
		if got := acl(t, c.rules...).AllowsLabels(c.labels); got != c.want {
			t.Errorf("%v allows %v = %v", c.rules, c.labels, got)
		}
	}
}

func TestACLAllowsAccess(t *testing.T) {
	for _, c := range []struct {
		rules   []string
		gateway string
		port    uint16
		want    bool
	}{
		{nil, "office", 22, true},
		{nil, "office", 0, false},
		{nil, "not a name", 22, false},
		{[]string{"*"}, "office", 22, true},
		{[]string{"bind:*"}, "office", 22, false},
		{[]string{"bind:office:22"}, "office", 22, false},
		{[]string{"bind:office"}, "office", 22, false},
		{[]string{"access:office:22"}, "office", 22, true},
		{[]string{"access:office:22"}, "OFFICE", 22, true},
		{[]string{"access:Office:22"}, "office", 22, true},
		{[]string{"access:office:22"}, "office", 23, false},
		{[]string{"access:office:22"}, "office2", 22, false},
		{[]string{"access:office:22"}, "x.office", 22, false},
		{[]string{"access:office:*"}, "office", 65535, true},
		{[]string{"access:office:*"}, "home", 1, false},
		{[]string{"access:*:22"}, "home", 22, true},
		{[]string{"access:*:22"}, "home", 23, false},
		{[]string{"access:*:22"}, "*.home", 22, false},
		{[]string{"access:*:*"}, "home", 1, true},
		{[]string{"access:*:*"}, "home", 0, false},
		{[]string{"access:db:5432-5440"}, "db", 5431, false},
		{[]string{"access:db:5432-5440"}, "db", 5432, true},
		{[]string{"access:db:5432-5440"}, "db", 5440, true},
		{[]string{"access:db:5432-5440"}, "db", 5441, false},
		{[]string{"access:db:80-80"}, "db", 80, true},
		{[]string{"access:db:1", "access:web:2"}, "web", 2, true},
		{[]string{"access:db:1", "access:web:2"}, "web", 1, false},
	} {
		if got := acl(t, c.rules...).AllowsAccess(c.gateway, c.port); got != c.want {
			t.Errorf("%v allows access to %s:%d = %v", c.rules, c.gateway, c.port, got)
		}
	}
}

func TestACLRefusesRules(t *testing.T) {
	for _, rule := range []string{
		"", "bind:", "bind", "app.ex.com", "deny:*", "BIND:*", "bind:=x", "bind:x=", "bind:a..b", " bind:*", "bind:* ",
		"bind:*.*.b", "bind:a.*.b", "bind:a*.b", "bind:*.", "bind:*b.c", "bind:a:0", "bind:a:65536", "bind:a:http", "bind:a:", "bind:https://a",
		"bind:*:80", "bind:*.a:80", "bind:[::1]:80", "bind:a:b:80", "bind:bücher.ex.com", "bind:a b", "bind:a/b",
		"bind:a\x00=b", "bind:a=\xff", "bind: a=b", "bind:a=b ", "bind:a=b\n",
		"access:", "access", "access:*", "access:office", "access:office:", "access::22", "access:office:0", "access:office:65536",
		"access:office:ssh", "access:office:22-", "access:office:-22", "access:office:30-20", "access:office:1-2-3", "access:office:0-5",
		"access:*.office:22", "access:a b:22", "access:office:22,23", "**",
		"bind:a=" + strings.Repeat("x", postern.MaxACLRule),
	} {
		if _, err := postern.ParseACL([]string{"*", rule}); !postern.HasCode(err, postern.CodeACLInvalid) {
			t.Errorf("ParseACL(%q) = %v, want %s", rule, err, postern.CodeACLInvalid)
		} else if len(err.Error()) > 1000 {
			t.Errorf("ParseACL of %d bytes fails with %d", len(rule), len(err.Error()))
		}
	}
}

func TestACLIsBounded(t *testing.T) {
	most := slices.Repeat([]string{"bind:a=" + strings.Repeat("x", postern.MaxACLRule-len("bind:a="))}, postern.MaxACLRules)
	if _, err := postern.ParseACL(most); err != nil {
		t.Errorf("the largest ACL: %v", err)
	}
	if _, err := postern.ParseACL(append(most, "*")); !postern.HasCode(err, postern.CodeACLInvalid) {
		t.Errorf("one rule more: %v", err)
	}
}

// A rule that nobody has parsed allows nothing: it must not turn into "no limit".
func TestZeroRuleAllowsNothing(t *testing.T) {
	list := postern.ACL{{}}
	if list.Allows(requested(t, "a.ex.com")) || list.AllowsLabels(map[string]string{"a": "b"}) || list.AllowsAccess("office", 22) || list.AllowsAnyAddress() {
		t.Error("the zero rule allows something")
	}
}

// question is one thing that an ACL is asked.
type question struct {
	url   postern.URL
	label [2]string
	port  uint16
}

func (q question) answers(list postern.ACL) [4]bool {
	return [4]bool{
		list.Allows(q.url), list.AllowsAnyAddress(),
		list.AllowsLabels(map[string]string{q.label[0]: q.label[1]}), list.AllowsAccess(string(q.url.Host), q.port),
	}
}

// A rule survives being written and read, grants nothing but what it spells, and takes
// nothing away from others.
func FuzzACL(f *testing.F) {
	for _, rule := range []string{"*", "bind:*", "bind:*.c1.ex.com", "bind:a.c1.ex.com", "bind:1.tcp.h:2000", "bind:app=*", "bind:*=x",
		"access:*:*", "access:office:22", "access:office:20-30", "bind:alias.internal", "bind:*.gw.internal"} {
		for _, host := range []string{"a.c1.ex.com", "*.c1.ex.com", "c1.ex.com", "xc1.ex.com", "1.tcp.h", "office", "alias.internal", "b.gw.internal"} {
			f.Add(rule, "bind:b.ex.com", host, uint8(0), uint16(2000), "app", "x")
			f.Add(rule, "access:db:*", host, uint8(2), uint16(22), "x", "app")
		}
	}
	schemes := []postern.Scheme{postern.HTTP, postern.HTTPS, postern.TCP, postern.TLS, postern.UDP}
	f.Fuzz(func(t *testing.T, rule, other, name string, scheme uint8, port uint16, key, value string) {
		list, err := postern.ParseACL([]string{rule})
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d characters", len(err.Error()))
			}
			return
		}
		again, err := postern.ParseACL(list.Strings())
		if err != nil || len(again) != 1 || again[0] != list[0] || list[0].String() != rule {
			t.Fatalf("%q is not read again as itself: %v", rule, err)
		}
		host, err := postern.ParseHostname(name)
		if err != nil {
			return
		}
		asked := question{postern.URL{Scheme: schemes[int(scheme)%len(schemes)], Host: host, Port: port}, [2]string{key, value}, port}
		got := asked.answers(list)
		spelledOnly(t, rule, asked, got)
		for _, wider := range []string{other, "*"} {
			more, err := postern.ParseACL([]string{rule, wider})
			if err != nil {
				continue
			}
			wide := asked.answers(more)
			for i := range got {
				if got[i] && !wide[i] {
					t.Fatalf("%q beside %q takes away what it allowed: %+v", wider, rule, asked)
				}
			}
			if wider == "*" && (!wide[0] || !wide[1] || !wide[2] || wide[3] != asked.answers(nil)[3]) {
				t.Fatalf(`"*" does not allow everything: %+v %v`, asked, wide)
			}
		}
	})
}

// spelledOnly says from a rule's text alone, by another way than ACL's, what it cannot
// have allowed.
func spelledOnly(t *testing.T, rule string, asked question, got [4]bool) {
	t.Helper()
	target, binds := strings.CutPrefix(rule, "bind:")
	switch {
	case rule == "*" || rule == "bind:*":
		if !got[0] || !got[1] || !got[2] || got[3] != (rule == "*" && !asked.url.Host.Wildcard() && asked.port != 0) {
			t.Fatalf("%q: %+v %v", rule, asked, got)
		}
	case !binds:
		if got[0] || got[1] || got[2] {
			t.Fatalf("%q binds %+v", rule, asked)
		}
		if gateway := strings.TrimSuffix(strings.ToLower(strings.Split(rule, ":")[1]), "."); got[3] && gateway != "*" && gateway != string(asked.url.Host) {
			t.Fatalf("%q gives access to %q", rule, asked.url.Host)
		}
	case got[1] || got[3]:
		t.Fatalf("%q grants %v", rule, got)
	case strings.Contains(target, "="):
		pattern := strings.SplitN(target, "=", 2)
		if got[0] || got[2] && (pattern[0] != "*" && pattern[0] != asked.label[0] || pattern[1] != "*" && pattern[1] != asked.label[1]) {
			t.Fatalf("%q allows %+v", rule, asked)
		}
	default:
		spelled, port, exact := strings.Cut(strings.ToLower(target), ":")
		spelled = strings.TrimSuffix(spelled, ".")
		below, wild := strings.CutPrefix(spelled, "*")
		if got[0] && string(asked.url.Host) != spelled && !(wild && strings.HasSuffix(string(asked.url.Host), below)) || got[2] {
			t.Fatalf("%q allows %+v", rule, asked)
		}
		if got[0] && exact && asked.url.Port != 0 && strings.TrimLeft(port, "0") != strconv.Itoa(int(asked.url.Port)) {
			t.Fatalf("%q allows port %d", rule, asked.url.Port)
		}
	}
}

// Widening a name keeps what it allowed: "*.S" allows everything that "a.S" and "*.a.S"
// do, and "*.S" itself.
func FuzzACLWidening(f *testing.F) {
	f.Add("a.c1.ex.com", "x.a.c1.ex.com", uint8(1), uint16(0))
	f.Add("*.a.ex.com", "*.a.ex.com", uint8(0), uint16(8080))
	f.Fuzz(func(t *testing.T, of, name string, scheme uint8, port uint16) {
		narrow, err := postern.ParseHostname(of)
		if err != nil {
			return
		}
		host, err := postern.ParseHostname(name)
		if err != nil {
			return
		}
		suffix := narrow.Parent()
		if narrow.Wildcard() {
			suffix = suffix.Parent()
		}
		before, err := postern.ParseACL([]string{"bind:" + string(narrow)})
		if err != nil {
			t.Fatalf("%q is a name and no rule: %v", narrow, err)
		}
		after, err := postern.ParseACL([]string{"bind:*." + string(suffix)})
		if err != nil {
			return // there was nothing to the right
		}
		u := postern.URL{Scheme: []postern.Scheme{postern.HTTP, postern.HTTPS, postern.TCP, postern.TLS, postern.UDP}[scheme%5], Host: host, Port: port}
		if before.Allows(u) && !after.Allows(u) {
			t.Fatalf("%v allows %s, %v does not", before, u, after)
		}
		if u.Host = "*." + suffix; u.Scheme.Hosted() && !after.Allows(u) {
			t.Fatalf("%v does not allow its own wildcard", after)
		}
		if u.Host = suffix; after.Allows(u) {
			t.Fatalf("%v allows the name above it", after)
		}
	})
}
