package service_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

const day = 24 * time.Hour

func TestClaimName(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	if err := w.ClaimName(t.Context(), mine, "app.example.com"); err != nil {
		t.Fatal(err)
	}
	sibling := mine
	for _, test := range []struct {
		who  postern.Credential
		host postern.Hostname
		code postern.Code
	}{
		{mine, "app.example.com", ""},
		{sibling, "app.example.com", ""},
		{mine, "x.app.example.com", ""},
		{mine, "*.app.example.com", ""},
		{theirs, "app.example.com", postern.CodeNameReserved},
		{theirs, "y.app.example.com", postern.CodeNameReserved},
		{theirs, "*.app.example.com", postern.CodeNameReserved},
		{theirs, "*.example.com", postern.CodeNameReserved},
		{theirs, "other.example.com", ""},
		{mine, "*.example.com", postern.CodeNameReserved},
		{mine, "example.com", postern.CodeNameReserved},
		{mine, "app.example.org", postern.CodeDomainForeign},
		{mine, "badexample.com", postern.CodeDomainForeign},
		{mine, "com", postern.CodeDomainForeign},
	} {
		err := w.ClaimName(t.Context(), test.who, test.host)
		if test.code == "" && err != nil || test.code != "" && !postern.HasCode(err, test.code) {
			t.Errorf("%s claims %s: got %v, want %q", test.who.Account, test.host, err, test.code)
		}
	}
	if n := w.count(t, event.NameClaimed); n != 4 {
		t.Errorf("%d events, want one for each of 4 new names", n)
	}
}

// DESIGN D2: labels of the server's own are nobody's.
func TestReservedLabels(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	labels := strings.Fields("connect api dashboard gateway idp dns ns1 ns2 ns3 ns4 acme tcp udp tunnel www admin login")
	for _, label := range labels {
		for _, form := range []string{"%s.example.com", "x.%s.example.com", "*.%s.example.com", "a.b.%s.example.com"} {
			host := postern.Hostname(fmt.Sprintf(form, label))
			refused(t, w.ClaimName(t.Context(), c, host), postern.CodeNameReserved)
		}
		for _, form := range []string{"%s.app.example.com", "%s1x.example.com", "x-%s.example.com"} {
			if err := w.ClaimName(t.Context(), c, postern.Hostname(fmt.Sprintf(form, label))); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}

// The first bind holds a name for 30 days after its last use.
func TestNamesLapseThirtyDaysAfterTheirLastUse(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	const host = "app.example.com"
	claim := func(c postern.Credential) error { return w.ClaimName(t.Context(), c, host) }
	if err := claim(mine); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(29 * day)
	refused(t, claim(theirs), postern.CodeNameReserved)
	if err := claim(mine); err != nil { // used again
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(29 * day)
	refused(t, claim(theirs), postern.CodeNameReserved)
	w.clock.Advance(2 * day)
	if err := claim(theirs); err != nil {
		t.Errorf("after 31 days: %v", err)
	}
	refused(t, claim(mine), postern.CodeNameReserved)
}

func TestOwnNameAfterItLapsed(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	if err := w.ClaimName(t.Context(), mine, "app.example.com"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(31 * day)
	if err := w.ClaimName(t.Context(), theirs, "x.app.example.com"); err != nil {
		t.Fatal(err)
	}
	// Now the old name stands above one of another account.
	refused(t, w.ClaimName(t.Context(), mine, "app.example.com"), postern.CodeNameReserved)
	if err := w.ClaimName(t.Context(), theirs, "app.example.com"); err != nil {
		t.Error(err)
	}
}

func TestNameInUseWithoutPauseIsNotSwept(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	for _, host := range []postern.Hostname{"online.example.com", "gone.example.com"} {
		if err := w.ClaimName(t.Context(), mine, host); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		w.clock.Advance(day)
		if err := w.ClaimName(t.Context(), mine, "online.example.com"); err != nil {
			t.Fatal(err)
		}
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, w.ClaimName(t.Context(), theirs, "online.example.com"), postern.CodeNameReserved)
	if err := w.ClaimName(t.Context(), theirs, "gone.example.com"); err != nil {
		t.Error(err)
	}
}

func TestTwoAccountsClaimOneNameAtOnce(t *testing.T) {
	w := newWorld(t)
	rivals := []postern.Credential{w.stranger(t, "1"), w.stranger(t, "2")}
	for round := range 25 {
		// Half of the rounds race for one name, half for names above and below each other.
		hosts := []postern.Hostname{postern.Hostname(fmt.Sprintf("n%d.example.com", round)), postern.Hostname(fmt.Sprintf("n%d.example.com", round))}
		if round%2 == 1 {
			hosts[1] = "*." + hosts[1]
		}
		outcomes := make([]error, len(rivals))
		var group sync.WaitGroup
		for i, c := range rivals {
			group.Go(func() { outcomes[i] = w.ClaimName(t.Context(), c, hosts[i]) })
		}
		group.Wait()
		if (outcomes[0] == nil) == (outcomes[1] == nil) {
			t.Fatalf("round %d: %v and %v, want exactly one winner", round, outcomes[0], outcomes[1])
		}
		for _, err := range outcomes {
			if err != nil {
				refused(t, err, postern.CodeNameReserved)
			}
		}
	}
}

// A herd of returning agents must not become a herd of writes.
func TestComingBackOnlyReads(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	if err := w.ClaimName(t.Context(), c, "app.example.com"); err != nil {
		t.Fatal(err)
	}
	before := w.store.writes.Load()
	for range 50 {
		if err := w.ClaimName(t.Context(), c, "app.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.store.writes.Load() - before; n != 0 {
		t.Errorf("%d writes for 50 binds of a name that was used just now", n)
	}
}

func TestKnownNamesAreClaimedWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	if err := w.ClaimName(t.Context(), mine, "app.example.com"); err != nil {
		t.Fatal(err)
	}
	assigned := must[postern.Hostname](t)(w.AssignName(t.Context(), asker(mine, "web"), postern.HTTPS, domain, none[postern.Hostname]))
	check := func(t *testing.T, w *world) {
		t.Helper()
		w.store.down.Store(true)
		defer w.store.down.Store(false)
		if err := w.ClaimName(t.Context(), mine, "app.example.com"); err != nil {
			t.Errorf("a known name: %v", err)
		}
		again, err := w.AssignName(t.Context(), asker(mine, "web"), postern.HTTPS, domain, none[postern.Hostname])
		if err != nil || again != assigned {
			t.Errorf("a known assigned name: %s, %v; want %s", again, err, assigned)
		}
		refused(t, w.ClaimName(t.Context(), theirs, "app.example.com"), postern.CodeNameReserved)
		refused(t, w.ClaimName(t.Context(), mine, "new.example.com"), postern.CodeStoreUnavailable)
		_, err = w.AssignName(t.Context(), asker(mine, "new"), postern.HTTPS, domain, none[postern.Hostname])
		refused(t, err, postern.CodeStoreUnavailable)
	}
	check(t, w)
	w.clock.Advance(10 * day)
	check(t, w.restart(t))
}

// The memory learns of uses as the store does.
func TestUsedNamesAreKnownWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	for range 3 {
		if err := w.ClaimName(t.Context(), c, "app.example.com"); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(20 * day)
	}
	w.store.down.Store(true)
	if err := w.ClaimName(t.Context(), c, "app.example.com"); err != nil {
		t.Error(err)
	}
}

func TestAssignedNamesAreStable(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	assign := func(w *world, endpoint string, scheme postern.Scheme, taken ...postern.Hostname) postern.Hostname {
		t.Helper()
		return must[postern.Hostname](t)(w.AssignName(t.Context(), asker(c, endpoint), scheme, domain, func(h postern.Hostname) bool {
			for _, other := range taken {
				if other == h {
					return true
				}
			}
			return false
		}))
	}
	first := assign(w, "", postern.HTTPS)
	label, parent := strings.TrimSuffix(string(first), ".example.com"), first.Parent()
	if len(label) < 8 || strings.Trim(label, "0123456789abcdef") != "" || parent != domain {
		t.Errorf("%s is not eight or more hex digits below %s", first, domain)
	}
	if again := assign(w, "", postern.HTTPS); again != first {
		t.Errorf("asked again: %s, want %s", again, first)
	}
	if plain := assign(w, "", postern.HTTP); plain != first {
		t.Errorf("http and https of one endpoint have different names: %s, %s", plain, first)
	}
	second := assign(w, "", postern.HTTPS, first)
	third := assign(w, "", postern.HTTPS, first, second)
	others := []postern.Hostname{first, second, third, assign(w, "web", postern.HTTPS), assign(w, "", postern.TLS)}
	for i, a := range others {
		for _, b := range others[i+1:] {
			if a == b {
				t.Errorf("%s was given twice: %v", a, others)
			}
		}
	}
	if again := assign(w, "", postern.HTTPS, first, third); again != second {
		t.Errorf("the second slot is %s, was %s", again, second)
	}

	after := w.restart(t)
	if again := assign(after, "", postern.HTTPS); again != first {
		t.Errorf("after a restart: %s, want %s", again, first)
	}
	// Another key derives other names, but what is remembered stays.
	rekeyed := after.restart(t, func(c *service.Config) { c.NameKey = bytes.Repeat([]byte{8}, 32) })
	if again := assign(rekeyed, "", postern.HTTPS); again != first {
		t.Errorf("after a change of key: %s, want %s", again, first)
	}
	if fresh := assign(rekeyed, "db", postern.HTTPS); fresh == assign(rekeyed.restart(t), "db2", postern.HTTPS) {
		t.Error("two series share a name")
	}
}

// A reservation that was lost (an expired row, a restored backup) comes back as the
// same name, because it is derived.
func TestAssignedNameSurvivesItsRow(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	assign := func() postern.Hostname {
		t.Helper()
		return must[postern.Hostname](t)(w.AssignName(t.Context(), asker(c, "web"), postern.HTTPS, domain, none[postern.Hostname]))
	}
	first := assign()
	w.clock.Advance(100 * day)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := assign(); again != first {
		t.Errorf("got %s, want %s", again, first)
	}
}

func TestAssignedNameThatAnotherHoldsIsSkipped(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	theirs := w.stranger(t, "2")
	assign := func() postern.Hostname {
		t.Helper()
		return must[postern.Hostname](t)(w.AssignName(t.Context(), asker(c, ""), postern.HTTPS, domain, none[postern.Hostname]))
	}
	first := assign()
	w.clock.Advance(31 * day)
	if err := w.ClaimName(t.Context(), theirs, first); err != nil {
		t.Fatal(err)
	}
	second := assign()
	if second == first {
		t.Error("a name of another account was assigned")
	}
	if again := assign(); again != second {
		t.Errorf("the replacement is not stable: %s, then %s", second, again)
	}
}

func TestAssignNameRefusals(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	for name, endpoint := range map[string]string{"long": strings.Repeat("x", 256), "NUL": "a\x00", "no UTF-8": "\xfe"} {
		_, err := w.AssignName(t.Context(), asker(c, endpoint), postern.HTTPS, domain, none[postern.Hostname])
		if !postern.HasCode(err, postern.CodeBindInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := w.AssignName(t.Context(), asker(c, ""), postern.HTTPS, "example.org", none[postern.Hostname])
	refused(t, err, postern.CodeDomainForeign)
	limited, _ := w.credential(t, c, "bind:*.customer1.example.com")
	_, err = w.AssignName(t.Context(), asker(limited, ""), postern.HTTPS, domain, none[postern.Hostname])
	refused(t, err, postern.CodeNameNotAllowed)
	if n := w.count(t, event.NameClaimed); n != 0 {
		t.Errorf("%d names were reserved for nobody", n)
	}
	_, err = w.AssignName(t.Context(), asker(c, ""), postern.HTTPS, domain, func(postern.Hostname) bool { return true })
	refused(t, err, postern.CodeEndpointLimit)
}
