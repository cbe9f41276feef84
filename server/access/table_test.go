package access_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
)

func rule(network string, deny bool) access.Rule {
	return access.Rule{Network: netip.MustParsePrefix(network), Deny: deny}
}

func table() *access.Table {
	return access.NewTable([]access.Restriction{
		{Account: "ac_1", Part: access.Endpoints, Enforced: true, Rules: []access.Rule{
			rule("10.0.0.0/8", false), rule("10.9.0.0/16", true), rule("10.9.1.1/32", false), rule("2001:db8::/32", false), rule("2001:db8:bad::/48", true)}},
		{Account: "ac_1", Part: access.Agents, Rules: []access.Rule{rule("192.0.2.1/32", false)}},
		{Account: "ac_2", Part: access.Endpoints, Enforced: true, Rules: []access.Rule{rule("0.0.0.0/0", true)}},
		{Account: "ac_3", Part: access.Endpoints, Enforced: true},
		{Account: "ac_4", Part: access.Endpoints, Enforced: true, Rules: []access.Rule{rule("0.0.0.0/0", false)}},
	})
}

func TestCheck(t *testing.T) {
	restrictions := table()
	for _, c := range []struct {
		account postern.AccountID
		part    access.Part
		addr    string
		want    access.Verdict
	}{
		{"ac_1", access.Endpoints, "10.1.2.3", access.Passes},
		{"ac_1", access.Endpoints, "::ffff:10.1.2.3", access.Passes},
		{"ac_1", access.Endpoints, "10.9.2.3", access.Refused},
		{"ac_1", access.Endpoints, "10.9.1.1", access.Refused}, // a denial stands, however narrow what allows is
		{"ac_1", access.Endpoints, "11.1.2.3", access.Refused},
		{"ac_1", access.Endpoints, "2001:db8:1::1", access.Passes},
		{"ac_1", access.Endpoints, "2001:db8:1::1%eth0", access.Passes},
		{"ac_1", access.Endpoints, "2001:db8:bad::1", access.Refused},
		{"ac_1", access.Endpoints, "2001:db9::1", access.Refused},
		{"ac_1", access.Agents, "192.0.2.1", access.Passes},
		{"ac_1", access.Agents, "192.0.2.2", access.Noted},
		{"ac_1", access.API, "192.0.2.2", access.Passes}, // not restricted
		{"ac_2", access.Endpoints, "192.0.2.2", access.Refused},
		{"ac_3", access.Endpoints, "192.0.2.2", access.Refused}, // no rule allows
		{"ac_4", access.Endpoints, "192.0.2.2", access.Passes},
		{"ac_4", access.Endpoints, "2001:db8::1", access.Refused}, // all of IPv4 is not IPv6
		{"ac_9", access.Endpoints, "192.0.2.2", access.Passes},
	} {
		if got := restrictions.Check(c.account, c.part, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s, %s from %s: %d, want %d", c.account, c.part, c.addr, got, c.want)
		}
	}
	if got := restrictions.Check("ac_4", access.Endpoints, netip.Addr{}); got != access.Refused {
		t.Errorf("nobody knows from where: %d", got)
	}
	var current access.Current
	if got := current.Check("ac_2", access.Endpoints, netip.Addr{}); got != access.Passes {
		t.Errorf("without a table: %d", got)
	}
	current.Set(restrictions)
	if got := current.Check("ac_2", access.Endpoints, netip.MustParseAddr("1.2.3.4")); got != access.Refused {
		t.Errorf("with one: %d", got)
	}
	current.Set(access.NewTable(nil))
	if got := current.Check("ac_2", access.Endpoints, netip.MustParseAddr("1.2.3.4")); got != access.Passes {
		t.Errorf("with none again: %d", got)
	}
}

// A list tells by which of its networks it decides: the narrowest one.
func TestListMatches(t *testing.T) {
	list := access.NewList([]access.Rule{rule("0.0.0.0/0", false), rule("10.0.0.0/8", false), rule("10.1.0.0/16", false), rule("10.1.2.0/24", true), rule("10.1.0.0/17", true), rule("2001:db8::/32", false)})
	for addr, want := range map[string][2]string{
		"192.0.2.1": {"0.0.0.0/0", ""}, "10.2.0.1": {"10.0.0.0/8", ""}, "10.1.2.3": {"10.1.0.0/16", "10.1.2.0/24"}, "::ffff:10.1.3.3": {"10.1.0.0/16", "10.1.0.0/17"},
		"2001:db8::1%eth0": {"2001:db8::/32", ""}, "2001:db9::1": {"", ""},
	} {
		allowed, denied := list.Match(netip.MustParseAddr(addr))
		for i, got := range []netip.Prefix{allowed, denied} {
			if want := want[i]; got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
				t.Errorf("%s: %v, want %q", addr, got, want)
			}
		}
	}
}

// A policy is found by its account alone.
func TestPolicies(t *testing.T) {
	var current access.Current
	if _, found := current.List("ac_1", "ipp_1"); found {
		t.Error("found without any")
	}
	current.SetPolicies(access.NewPolicies([]access.Policy{{Account: "ac_1", ID: "ipp_1", Rules: []access.Rule{rule("10.0.0.0/8", false)}}, {Account: "ac_2", ID: "ipp_2"}}))
	list, found := current.List("ac_1", "ipp_1")
	if allowed, _ := list.Match(netip.MustParseAddr("10.1.2.3")); !found || !allowed.IsValid() {
		t.Errorf("%v %v", found, allowed)
	}
	if _, found := current.List("ac_1", "ipp_2"); found {
		t.Error("another account's is found")
	}
}

// The set of networks decides as looking at each rule does.
func TestCheckAgreesWithEachRule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // reproducible
	addr := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(2)), byte(random.IntN(3)), byte(random.IntN(5))}) //nolint:gosec // small
	}
	for range 200 {
		var rules []access.Rule
		for range random.IntN(12) {
			network, _ := addr().Prefix(random.IntN(33))
			rules = append(rules, access.Rule{Network: network, Deny: random.IntN(3) == 0})
		}
		one := access.NewTable([]access.Restriction{{Account: "a", Part: access.API, Enforced: true, Rules: rules}})
		for range 50 {
			from, allowed, denied := addr(), false, false
			for _, r := range rules {
				if r.Network.Contains(from) {
					allowed, denied = allowed || !r.Deny, denied || r.Deny
				}
			}
			if got := one.Check("a", access.API, from) == access.Passes; got != (allowed && !denied) {
				t.Fatalf("%v with %v: %v", from, rules, got)
			}
		}
	}
}

func TestIngresses(t *testing.T) {
	var current access.Current
	if _, _, found := current.Ingress("tunnel.eu.connect.bank.org"); found {
		t.Error("found without any")
	}
	current.SetIngresses(access.NewIngresses(map[postern.Hostname]postern.AccountID{"connect.bank.org": "ac_1"}))
	for name, want := range map[postern.Hostname]postern.AccountID{
		"connect.bank.org": "ac_1", "tunnel.eu.connect.bank.org": "ac_1", "bank.org": "", "xconnect.bank.org": "", "": "",
	} {
		if owner, _, found := current.Ingress(name); owner != want || found != (want != "") {
			t.Errorf("%q is of %q", name, owner)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	var none, some access.Current
	some.Set(table())
	from := netip.MustParseAddr("10.1.2.3")
	for name, current := range map[string]*access.Current{"unrestricted": &none, "restricted": &some} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				current.Check("ac_1", access.Endpoints, from)
			}
		})
	}
	if n := testing.AllocsPerRun(100, func() { some.Check("ac_1", access.Endpoints, from) }); n != 0 {
		b.Errorf("%v allocations", n)
	}
}
