package dnscheck_test

import (
	"slices"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/pki/dnscheck"
)

const (
	target    = "rand.acct.dns.example.com"
	challenge = "tok.acme.dns.example.com"
)

// S1-19, S1-20: every way in which people get the two records wrong has its verdict.
func TestDomains(t *testing.T) {
	for _, one := range []struct {
		what   string
		domain postern.Hostname
		acme   postern.Hostname
		zone   string
		want   string
	}{
		{"right", "app.acme.org", "", "app.acme.org. CNAME rand.acct.dns.example.com.", "ok CNAME app.acme.org\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"in capitals", "app.acme.org", "", "APP.acme.org. CNAME Rand.ACCT.dns.Example.com.", "ok CNAME app.acme.org\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"by way of another name", "app.acme.org", "", "app.acme.org. CNAME b.acme.org.\nb.acme.org. CNAME rand.acct.dns.example.com.", "ok CNAME app.acme.org\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"in a circle", "app.acme.org", "", "app.acme.org. CNAME b.acme.org.\nb.acme.org. CNAME app.acme.org.", "problem CNAME app.acme.org ERR_NGROK_427\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"missing", "app.acme.org", "", "", "problem CNAME app.acme.org ERR_NGROK_425\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"elsewhere", "app.acme.org", "", "app.acme.org. CNAME www.example.net.", "problem CNAME app.acme.org ERR_NGROK_427\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"of a reservation before", "app.acme.org", "", "app.acme.org. CNAME old.acct.dns.example.com.", "problem CNAME app.acme.org ERR_NGROK_427\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"an address of somebody", "app.acme.org", "", "app.acme.org. A 203.0.113.99", "problem CNAME app.acme.org ERR_NGROK_426\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"the server's address", "app.acme.org", "", "app.acme.org. A 192.0.2.1", "warning CNAME app.acme.org ERR_NGROK_426\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"Cloudflare's address", "app.acme.org", "", "app.acme.org. A 104.16.1.1\napp.acme.org. AAAA 2606:4700::1", "warning CNAME app.acme.org ERR_NGROK_515\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"a wildcard's record", "app.acme.org", "", "*.acme.org. CNAME www.example.net.", "problem CNAME app.acme.org ERR_NGROK_455\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"a wildcard's record that is right", "app.acme.org", "", "*.acme.org. CNAME rand.acct.dns.example.com.", "ok CNAME app.acme.org\nok CNAME _acme-challenge.app.acme.org ERR_NGROK_441"},
		{"both", "*.c1.acme.org", challenge, "*.c1.acme.org. CNAME rand.acct.dns.example.com.\n_acme-challenge.c1.acme.org. CNAME tok.acme.dns.example.com.", "ok CNAME *.c1.acme.org\nok CNAME _acme-challenge.c1.acme.org"},
		{"the challenge's forgotten", "*.c1.acme.org", challenge, "*.c1.acme.org. CNAME rand.acct.dns.example.com.", "ok CNAME *.c1.acme.org\nproblem CNAME _acme-challenge.c1.acme.org ERR_NGROK_444"},
		{"the challenge's missing", "*.c1.acme.org", challenge, "", "problem CNAME *.c1.acme.org ERR_NGROK_425\nproblem CNAME _acme-challenge.c1.acme.org ERR_NGROK_442"},
		{"the challenge's an address", "*.c1.acme.org", challenge, "*.c1.acme.org. A 192.0.2.1", "warning CNAME *.c1.acme.org ERR_NGROK_426\nproblem CNAME _acme-challenge.c1.acme.org ERR_NGROK_443"},
		{"the challenge's proxied", "*.c1.acme.org", challenge, "_acme-challenge.c1.acme.org. A 104.16.1.1", "problem CNAME *.c1.acme.org ERR_NGROK_425\nwarning CNAME _acme-challenge.c1.acme.org ERR_NGROK_516"},
		{"a text in the challenge's place", "*.c1.acme.org", challenge, "_acme-challenge.c1.acme.org. TXT \"tok.acme.dns.example.com\"", "problem CNAME *.c1.acme.org ERR_NGROK_425\nproblem CNAME _acme-challenge.c1.acme.org ERR_NGROK_442"},
		{"a zone that nobody serves", "app.nowhere.net", "", "", "problem CNAME app.nowhere.net ERR_NGROK_445\nok CNAME _acme-challenge.app.nowhere.net ERR_NGROK_441"},
		{"in a zone below", "app.far.acme.org", "", "far.acme.org. NS ns.acme.org.\nfar.acme.org. SOA a. b. 1 2 3 4 5\napp.far.acme.org. CNAME rand.acct.dns.example.com.", "ok CNAME app.far.acme.org\nok CNAME _acme-challenge.app.far.acme.org ERR_NGROK_441"},
	} {
		t.Run(one.what, func(t *testing.T) {
			l, ctx := walk(t, world(t, one.zone))
			report := dnscheck.Domain(ctx, l, dnscheck.DomainWant{Domain: one.domain, CNAME: target, ACME: one.acme, Addresses: serverAddresses()})
			if got := summary(report); got != one.want {
				t.Errorf("got\n%s\nwant\n%s\n%+v", got, one.want, report)
			}
			for _, f := range report {
				if f.Status != dnscheck.OK && (f.Code == "" || !strings.Contains(f.Text, f.Name)) {
					t.Errorf("a finding that does not say what is wrong: %+v", f)
				}
				if f.Status == dnscheck.Problem && f.Code != postern.CodeDNSLookupFailed && !strings.Contains(f.Text, f.Want[0]) {
					t.Errorf("a finding that does not say what is wanted: %+v", f)
				}
			}
			if err := report.Err(); (err != nil) != (report.Status() == dnscheck.Problem) {
				t.Errorf("%v with status %v", err, report.Status())
			}
		})
	}
}

func TestOwnDomainsNeedNoRecord(t *testing.T) {
	l, ctx := walk(t, world(t, ""))
	report := dnscheck.Domain(ctx, l, dnscheck.DomainWant{Domain: "shop.example.com"})
	if got := summary(report); got != "ok CNAME shop.example.com ERR_NGROK_424\nok CNAME _acme-challenge.shop.example.com ERR_NGROK_441" {
		t.Error(got)
	}
}

// S1-13: the delegation of an ingress, as the zone above has it, and what resolvers make
// of it.
func TestIngresses(t *testing.T) {
	const well = "ok A connect.acme.org\nok A tunnel.eu.connect.acme.org"
	for _, one := range []struct {
		what, zone, want string
	}{
		{"right", "connect.acme.org. NS ns1.example.com.\nconnect.acme.org. NS NS2.example.com.", "ok NS connect.acme.org\n" + well},
		{"none", "", "problem NS connect.acme.org ERR_NGROK_6702"},
		{"others", "connect.acme.org. NS ns.provider.net.", "problem NS connect.acme.org ERR_NGROK_6703"},
		{"others beside ours", "connect.acme.org. NS ns1.example.com.\nconnect.acme.org. NS ns2.example.com.\nconnect.acme.org. NS ns.provider.net.", "problem NS connect.acme.org ERR_NGROK_6703"},
		{"one of two", "connect.acme.org. NS ns1.example.com.", "warning NS connect.acme.org ERR_NGROK_1929\n" + well},
		{"addresses instead", "connect.acme.org. A 192.0.2.1", "problem NS connect.acme.org ERR_NGROK_6702"},
	} {
		t.Run(one.what, func(t *testing.T) {
			l, ctx := walk(t, world(t, one.zone))
			report := dnscheck.Ingress(ctx, l, ingressWant())
			if got := summary(report); got != one.want {
				t.Errorf("got\n%s\nwant\n%s\n%+v", got, one.want, report)
			}
		})
	}
}

func ingressWant() dnscheck.IngressWant {
	return dnscheck.IngressWant{Domain: "connect.acme.org", NameServers: servers(), Regions: []dnscheck.Region{{Name: "eu", Addresses: serverAddresses()}}}
}

// The delegation is right, and nobody answers behind it: port 53 is closed, or the name
// servers have no addresses.
func TestSilentNameServers(t *testing.T) {
	for what, silent := range map[string]nameserver.Handler{
		"silent":  func(*miekg.Msg) *miekg.Msg { return nil },
		"refuses": nameserver.Parse(t, "other.net. SOA a. b. 1 2 3 4 5").Answer,
	} {
		i := world(t, "connect.acme.org. NS ns1.example.com.\nconnect.acme.org. NS ns2.example.com.")
		i.Host("192.0.2.53", silent)
		l, ctx := walk(t, i)
		report := dnscheck.Ingress(ctx, l, ingressWant())
		if got := summary(report); got != "ok NS connect.acme.org\nproblem A connect.acme.org ERR_POSTERN_631\nproblem A tunnel.eu.connect.acme.org ERR_POSTERN_631" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// Without listen.dns the ingress's names are address records in the zone above.
func TestIngressesWithoutAZone(t *testing.T) {
	for _, one := range []struct {
		what, zone, want string
	}{
		{"addresses", "connect.acme.org. A 192.0.2.1\n*.connect.acme.org. A 192.0.2.1", "ok A connect.acme.org\nok A tunnel.eu.connect.acme.org"},
		{"the domain's only", "connect.acme.org. A 192.0.2.1", "ok A connect.acme.org\nproblem A tunnel.eu.connect.acme.org ERR_POSTERN_632"},
		{"elsewhere", "connect.acme.org. A 203.0.113.99\n*.connect.acme.org. A 192.0.2.1", "problem A connect.acme.org ERR_POSTERN_633\nok A tunnel.eu.connect.acme.org"},
		{"delegated", "connect.acme.org. NS ns1.example.com.", "problem NS connect.acme.org ERR_POSTERN_631"},
	} {
		t.Run(one.what, func(t *testing.T) {
			l, ctx := walk(t, world(t, one.zone))
			want := ingressWant()
			want.NoZone = true
			if got := summary(dnscheck.Ingress(ctx, l, want)); got != one.want {
				t.Errorf("got\n%s\nwant\n%s", got, one.want)
			}
		})
	}
}

func TestOperator(t *testing.T) {
	l, ctx := walk(t, world(t, ""))
	want := dnscheck.OperatorWant{Domain: "example.com", Addresses: serverAddresses(), NameServers: servers(), Challenge: "own.acme.dns.example.com"}
	report := dnscheck.Operator(ctx, l, want)
	if got := summary(report); got != "ok A example.com\nok A *.example.com\nok A ns1.example.com\nok A ns2.example.com\nok NS dns.example.com\nok CNAME _acme-challenge.example.com" {
		t.Errorf("%s\n%+v", got, report)
	}
	want.Domain, want.Challenge = "acme.org", "other.acme.dns.acme.org"
	l, ctx = walk(t, world(t, "acme.org. A 203.0.113.99"))
	report = dnscheck.Operator(ctx, l, want)
	if got := summary(report); got != "problem A acme.org ERR_POSTERN_633\nproblem A *.acme.org ERR_POSTERN_632\nok A ns1.example.com\nok A ns2.example.com\nproblem NS dns.acme.org ERR_NGROK_6702\nproblem CNAME _acme-challenge.acme.org ERR_NGROK_442" {
		t.Errorf("%s\n%+v", got, report)
	}
}

func TestCAA(t *testing.T) {
	for _, one := range []struct {
		what   string
		domain postern.Hostname
		zone   string
		want   postern.Code
	}{
		{"none", "app.acme.org", "", ""},
		{"ours", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org"`, ""},
		{"ours in capitals", "app.acme.org", `acme.org. CAA 0 ISSUE "LetsEncrypt.org"`, ""},
		{"ours among others", "app.acme.org", "acme.org. CAA 0 issue \"other.org\"\nacme.org. CAA 0 issue \"letsencrypt.org\"", ""},
		{"another", "app.acme.org", `acme.org. CAA 0 issue "other.org"`, postern.CodeCAAForbidden},
		{"nobody", "app.acme.org", `acme.org. CAA 0 issue ";"`, postern.CodeCAAForbidden},
		{"nearer ones count", "a.app.acme.org", "acme.org. CAA 0 issue \"letsencrypt.org\"\napp.acme.org. CAA 0 issue \"other.org\"", postern.CodeCAAForbidden},
		{"wildcards' own", "*.app.acme.org", "acme.org. CAA 0 issue \"letsencrypt.org\"\nacme.org. CAA 0 issuewild \"other.org\"", postern.CodeCAAForbidden},
		{"wildcards' own, for none", "app.acme.org", "acme.org. CAA 0 issue \"letsencrypt.org\"\nacme.org. CAA 0 issuewild \"other.org\"", ""},
		{"wildcards without their own", "*.app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org"`, ""},
		{"complaints only", "app.acme.org", `acme.org. CAA 0 iodef "mailto:a@acme.org"`, ""},
		{"critical and unknown", "app.acme.org", "acme.org. CAA 128 tbs \"x\"\nacme.org. CAA 0 issue \"letsencrypt.org\"", postern.CodeCAACritical},
		{"unknown", "app.acme.org", "acme.org. CAA 0 tbs \"x\"", ""},
		{"our account", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org; accounturi=https://acme.test/1"`, ""},
		{"another account", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org; accounturi=https://acme.test/2"`, postern.CodeCAAAccount},
		{"our methods", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org; validationmethods=dns-01,http-01"`, ""},
		{"other methods", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01"`, postern.CodeCAAMethods},
		{"unreadable", "app.acme.org", `acme.org. CAA 0 issue "letsencrypt.org; accounturi"`, postern.CodeCAAMalformed},
		{"behind an alias", "app.acme.org", "app.acme.org. CNAME b.acme.org.\nb.acme.org. CAA 0 issue \"other.org\"", postern.CodeCAAForbidden},
		{"an alias to us", "app.acme.org", "app.acme.org. CNAME rand.acct.dns.example.com.\nacme.org. CAA 0 issue \"other.org\"", postern.CodeCAAForbidden},
		{"a silent zone", "app.nowhere.net", "", postern.CodeCAALookupFailed},
	} {
		t.Run(one.what, func(t *testing.T) {
			i := world(t, one.zone)
			i.Host("198.51.100.55", nameserver.Parse(t, "org. SOA a. b. 1 2 3 4 5").Answer, "org.")
			l, ctx := walk(t, i)
			got := dnscheck.CAA(ctx, l, dnscheck.CAAWant{Domain: one.domain, Issuers: []string{"letsencrypt.org"}, AccountURI: "https://acme.test/1",
				Methods: []string{"http-01"}, Own: "dns.example.com"})
			if got.Code != one.want || (got.Status == dnscheck.OK) != (one.want == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What a resolver's cache still says does not count: the zone's own servers are asked.
func TestCachesAreNotBelieved(t *testing.T) {
	i := world(t, "app.acme.org. CNAME rand.acct.dns.example.com.")
	stale := nameserver.Parse(t, "acme.org. SOA a. b. 1 2 3 4 5\napp.acme.org. CNAME old.example.net.")
	i.Host("9.9.9.9", func(query *miekg.Msg) *miekg.Msg {
		if query.Question[0].Name == "app.acme.org." {
			return stale.Answer(query)
		}
		return i.Resolve(query)
	})
	l, ctx := walk(t, i)
	report := dnscheck.Domain(ctx, l, dnscheck.DomainWant{Domain: "app.acme.org", CNAME: target})
	if report.Status() != dnscheck.OK {
		t.Errorf("%+v", report)
	}
}

// Where the zone's servers are silent, resolvers are better than nothing.
func TestResolversWhereServersAreSilent(t *testing.T) {
	i := world(t, "")
	kept := nameserver.Parse(t, "acme.org. SOA a. b. 1 2 3 4 5\nacme.org. NS ns.acme.org.\nns.acme.org. A 198.51.100.54\napp.acme.org. CNAME rand.acct.dns.example.com.")
	i.Host("198.51.100.54", func(*miekg.Msg) *miekg.Msg { return nil })
	i.Host("9.9.9.9", kept.Answer)
	l, ctx := walk(t, i)
	if report := dnscheck.Domain(ctx, l, dnscheck.DomainWant{Domain: "app.acme.org", CNAME: target}); report.Status() != dnscheck.OK {
		t.Errorf("%+v", report)
	}
}

// Answers to other questions are none, and a zone that asks for ever more questions gets
// an end.
func TestHostileServers(t *testing.T) {
	for what, hostile := range map[string]nameserver.Handler{
		"another question": func(query *miekg.Msg) *miekg.Msg {
			query.Question[0].Name = "other.org."
			return new(miekg.Msg).SetReply(query)
		},
		"another id": func(query *miekg.Msg) *miekg.Msg {
			query.Id++
			return new(miekg.Msg).SetReply(query)
		},
		"nothing in it": func(query *miekg.Msg) *miekg.Msg {
			answer := new(miekg.Msg)
			answer.Id = query.Id
			return answer
		},
		"a referral upwards": func(query *miekg.Msg) *miekg.Msg {
			answer := new(miekg.Msg).SetReply(query)
			answer.Ns = []miekg.RR{&miekg.NS{Hdr: miekg.RR_Header{Name: ".", Rrtype: miekg.TypeNS, Class: 1}, Ns: "ns.acme.org."}}
			return answer
		},
		"an alias to a new name each time": func(query *miekg.Msg) *miekg.Msg {
			answer := new(miekg.Msg).SetReply(query)
			answer.Authoritative = true
			name := query.Question[0].Name
			answer.Answer = []miekg.RR{&miekg.CNAME{Hdr: miekg.RR_Header{Name: name, Rrtype: miekg.TypeCNAME, Class: 1}, Target: "x" + name}}
			return answer
		},
	} {
		i := world(t, "")
		i.Host("198.51.100.54", hostile)
		i.Host("9.9.9.9", func(query *miekg.Msg) *miekg.Msg {
			if miekg.IsSubDomain("acme.org.", query.Question[0].Name) && !slices.Contains([]string{"acme.org.", "ns.acme.org."}, query.Question[0].Name) {
				return hostile(query)
			}
			return nameserver.Parse(t, "acme.org. SOA a. b. 1 2 3 4 5\nacme.org. NS ns.acme.org.\nns.acme.org. A 198.51.100.54").Answer(query)
		})
		l, ctx := walk(t, i)
		report := dnscheck.Domain(ctx, l, dnscheck.DomainWant{Domain: "app.acme.org", CNAME: target})
		if report.Status() != dnscheck.Problem {
			t.Errorf("%s: %+v", what, report)
		}
		if got := dnscheck.CAA(ctx, l, dnscheck.CAAWant{Domain: "app.acme.org", Issuers: []string{"letsencrypt.org"}}); got.Status != dnscheck.Problem {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestWithoutResolvers(t *testing.T) {
	w, ctx, done := dnscheck.Resolver{Exchange: nameserver.NewInternet().Exchange}.Walk(t.Context())
	defer done()
	report := dnscheck.Domain(ctx, w, dnscheck.DomainWant{Domain: "app.acme.org", CNAME: target})
	if got := summary(report[:1]); got != "problem CNAME app.acme.org ERR_NGROK_445" {
		t.Error(got)
	}
}
