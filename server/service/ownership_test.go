package service_test

import (
	"sync/atomic"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// reserve has an account reserve a domain.
func (w *world) reserve(t *testing.T, c postern.Credential, domain postern.Hostname) error {
	t.Helper()
	_, err := w.ReservedDomains().Create(t.Context(), callerOf(c), resource.ReservedDomainCreate{Domain: string(domain)})
	return err
}

// owning is a world in which accounts have these domains.
func owning(t *testing.T, w *world, c postern.Credential, domains ...postern.Hostname) {
	t.Helper()
	for _, domain := range domains {
		if err := w.reserve(t, c, domain); err != nil {
			t.Fatalf("%s: %v", domain, err)
		}
	}
}

// S1-41: whoever owns a domain, by itself or by a wildcard, owns all names below it and
// binds them without reserving each; nobody else binds any.
func TestOwnersBindWhatIsBelow(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	owning(t, w, mine, "*.customer1.example.com", "cust.org", "*.wild.net", "app.exact.net")
	for _, test := range []struct {
		host postern.Hostname
		mine postern.Code // "" where the owner may
		// What others are told.
		theirs postern.Code
	}{
		{"app.customer1.example.com", "", postern.CodeNameReserved},
		{"a.b.customer1.example.com", "", postern.CodeNameReserved},
		{"*.customer1.example.com", "", postern.CodeNameReserved},
		{"*.app.customer1.example.com", "", postern.CodeNameReserved},
		{"cust.org", "", postern.CodeNameReserved},
		{"app.cust.org", "", postern.CodeNameReserved},
		{"*.cust.org", "", postern.CodeNameReserved},
		{"a.b.cust.org", "", postern.CodeNameReserved},
		{"a.wild.net", "", postern.CodeNameReserved},
		{"*.wild.net", "", postern.CodeNameReserved},
		{"*.a.wild.net", "", postern.CodeNameReserved},
		{"app.exact.net", "", postern.CodeNameReserved},
		{"x.app.exact.net", "", postern.CodeNameReserved},

		// A wildcard is not for the name above it, of which nobody else may have anything.
		{"wild.net", postern.CodeDomainForeign, postern.CodeNameReserved},
		{"exact.net", postern.CodeDomainForeign, postern.CodeNameReserved},
		{"*.exact.net", postern.CodeDomainForeign, postern.CodeNameReserved},

		{"other.exact.net", postern.CodeDomainForeign, postern.CodeDomainForeign},
		{"xcust.org", postern.CodeDomainForeign, postern.CodeDomainForeign},
		{"cust.org.evil.net", postern.CodeDomainForeign, postern.CodeDomainForeign},
		{"org", postern.CodeDomainForeign, postern.CodeNameReserved},
	} {
		claim := func(c postern.Credential, code postern.Code) {
			t.Helper()
			err := w.ClaimName(t.Context(), c, test.host)
			if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
				t.Errorf("%s binds %s: %v, want %q", c.Account, test.host, err, code)
			}
		}
		claim(theirs, test.theirs)
		claim(mine, test.mine)
	}
	// The name above a wildcard below our own domain is whose who binds it first, and that
	// is not another account.
	refused(t, w.ClaimName(t.Context(), theirs, "customer1.example.com"), postern.CodeNameReserved)
	if err := w.ClaimName(t.Context(), mine, "customer1.example.com"); err != nil {
		t.Error(err)
	}
}

func TestReservationsWhereOthersAre(t *testing.T) {
	var online atomic.Pointer[postern.Endpoint]
	w := newWorld(t, func(c *service.Config) {
		c.InUse = func() []postern.Endpoint {
			if e := online.Load(); e != nil {
				return []postern.Endpoint{*e}
			}
			return nil
		}
	})
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	if err := w.ClaimName(t.Context(), theirs, "held.example.com"); err != nil {
		t.Fatal(err)
	}
	online.Store(&postern.Endpoint{Account: theirs.Account, URL: postern.URL{Scheme: postern.HTTPS, Host: "app.live.dev"}})
	for domain, code := range map[postern.Hostname]postern.Code{
		"held.example.com":   postern.CodeDomainInUse,
		"x.held.example.com": postern.CodeDomainInUse,
		"*.held.example.com": postern.CodeDomainInUse,
		"app.live.dev":       postern.CodeDomainInUse,
		"live.dev":           postern.CodeDomainInUse,
		"*.live.dev":         postern.CodeDomainInUse,
		"x.app.live.dev":     postern.CodeDomainInUse,
		"xapp.live.dev":      "",
		"other.dev":          "",
	} {
		err := w.reserve(t, mine, domain)
		if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
			t.Errorf("reserving %s: %v, want %q", domain, err, code)
		}
	}
	online.Store(&postern.Endpoint{Account: mine.Account, URL: postern.URL{Scheme: postern.HTTPS, Host: "app.live.dev"}})
	if err := w.reserve(t, mine, "app.live.dev"); err != nil {
		t.Errorf("where oneself is online: %v", err)
	}
	w.clock.Advance(31 * day)
	if err := w.reserve(t, mine, "held.example.com"); err != nil {
		t.Errorf("what another account has not used for a month: %v", err)
	}
	refused(t, w.ClaimName(t.Context(), theirs, "held.example.com"), postern.CodeNameReserved)
}

// Known reservations admit binds while the store is down, those that were read at the
// start too; what was given up does not.
func TestKnownReservationsWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	owning(t, w, mine, "*.customer1.example.com", "cust.org", "gone.org")
	if err := w.giveUp(t, mine, "gone.org"); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, w *world) {
		t.Helper()
		w.store.down.Store(true)
		defer w.store.down.Store(false)
		for _, host := range []postern.Hostname{"app.customer1.example.com", "cust.org", "a.b.cust.org", "*.cust.org"} {
			if err := w.ClaimName(t.Context(), mine, host); err != nil {
				t.Errorf("%s: %v", host, err)
			}
			refused(t, w.ClaimName(t.Context(), theirs, host), postern.CodeNameReserved)
		}
		for _, host := range []postern.Hostname{"gone.org", "unknown.org", "unknown.example.com", "customer1.example.com"} {
			refused(t, w.ClaimName(t.Context(), mine, host), postern.CodeStoreUnavailable)
		}
		refused(t, w.reserve(t, mine, "new.org"), postern.CodeStoreUnavailable)
	}
	check(t, w)
	w.clock.Advance(40 * day) // reservations do not lapse
	check(t, w.restart(t))
}

// What another process of the installation reserves or gives up is learnt from binds.
func TestReservationsOfAnotherProcess(t *testing.T) {
	w := newWorld(t)
	mine := w.stranger(t, "1")
	other := openWorld(t, w.from, w.clock)
	defer other.close()
	owning(t, other, mine, "cust.org")
	claim := func(code postern.Code) {
		t.Helper()
		err := w.ClaimName(t.Context(), mine, "app.cust.org")
		if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
			t.Errorf("got %v, want %q", err, code)
		}
	}
	claim("")
	w.store.down.Store(true)
	claim("")
	w.store.down.Store(false)
	if err := other.giveUp(t, mine, "cust.org"); err != nil {
		t.Fatal(err)
	}
	claim(postern.CodeDomainForeign)
	w.store.down.Store(true)
	claim(postern.CodeStoreUnavailable)
}

// Of an account that binds a name and another that reserves it, or what is above it, at
// the same time one wins.
func TestBindAgainstReservation(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	for round := range 20 {
		host := postern.Hostname("n" + string(rune('a'+round)) + ".example.com")
		bound, reserved := make(chan error, 1), make(chan error, 1)
		go func() { bound <- w.ClaimName(t.Context(), mine, "app."+host) }()
		go func() { reserved <- w.reserve(t, theirs, "*."+host) }()
		b, r := <-bound, <-reserved
		if (b == nil) == (r == nil) {
			t.Fatalf("round %d: the bind %v, the reservation %v", round, b, r)
		}
	}
}

// giveUp removes a reservation.
func (w *world) giveUp(t *testing.T, c postern.Credential, domain postern.Hostname) error {
	t.Helper()
	where := store.Equal("domain", string(domain))
	found, err := w.ReservedDomains().List(t.Context(), callerOf(c), service.Page{Limit: 1, Where: where})
	if err != nil || len(found.Items) != 1 {
		t.Fatal(found, err)
	}
	return w.ReservedDomains().Delete(t.Context(), callerOf(c), found.Items[0].ID)
}
