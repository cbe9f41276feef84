package service_test

import (
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// callerOf acts for a credential's account, with every right.
func callerOf(c postern.Credential) service.Caller {
	return service.Caller{Account: c.Account, Principal: c.Owner, Role: postern.Owner, Source: service.SourceAPI}
}

func TestDomainsAreHeldWithAllBelow(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	mine, theirs := callerOf(first), callerOf(w.stranger(t, "other"))
	reserve := func(by service.Caller, domain string) error {
		_, err := w.ReservedDomains().Create(t.Context(), by, resource.ReservedDomainCreate{Domain: domain})
		return err
	}
	for _, domain := range []string{"*.customer1.acme.org", "shop", "a-b.acme.org"} {
		if err := reserve(mine, domain); err != nil {
			t.Fatal(err)
		}
	}
	for domain, code := range map[string]postern.Code{
		"*.customer1.acme.org":     postern.CodeDomainTaken,
		"customer1.acme.org":       postern.CodeDomainNotAllowed,
		"x.y.customer1.acme.org":   postern.CodeDomainNotAllowed,
		"*.x.customer1.acme.org":   postern.CodeDomainNotAllowed,
		"acme.org":                 postern.CodeWildcardConflict,
		"*.acme.org":               postern.CodeWildcardConflict,
		"SHOP":                     postern.CodeDomainTaken,
		"x.shop.example.com":       postern.CodeDomainNotAllowed,
		"b.a-b.acme.org":           postern.CodeDomainNotAllowed,
		"tunnel.connect.acme.org.": "",
		"a.acme.org":               "", // sorts beside a-b
		"a-b-c.acme.org":           "",
		"1customer1.acme.org":      "",
	} {
		if err := reserve(theirs, domain); code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
			t.Errorf("%s: %v, want %q", domain, err, code)
		}
	}
	refused(t, reserve(service.Caller{Account: first.Account, Role: postern.ReadOnly}, "x"), postern.CodeNotPermitted)
	for _, domain := range []string{"x.customer1.acme.org", "y.x.customer1.acme.org", "customer1.acme.org"} {
		if err := reserve(mine, domain); err != nil {
			t.Errorf("below one's own: %v", err)
		}
	}
}

// What is taken is a name of the one form in which all are compared.
func FuzzReserveDomain(f *testing.F) {
	for _, seed := range []string{"*.a.org", "bücher.de", "a..b", "xn--a.org", "-", "*", "shop", "A.ORG.", "a_b.org", "example.com", "*.com", "1.2.3.4", "ß.de", "a\u00ad.org"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := service.ParseDomain(text, domain)
		if err != nil {
			return
		}
		if parsed, err := postern.ParseHostname(string(host)); err != nil || parsed != host {
			t.Fatalf("%q became %q, which is %q, %v", text, host, parsed, err)
		}
		if again, err := service.ParseDomain(string(host), domain); err != nil || again != host {
			t.Fatalf("%q became %q, and that %q, %v", text, host, again, err)
		}
	})
}
