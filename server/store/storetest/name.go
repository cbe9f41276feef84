package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const month = 30 * 24 * time.Hour

func (f *fixture) name(host postern.Hostname, c postern.Credential) store.Name {
	return store.Name{Host: host, Account: c.Account, Credential: c.ID, CreatedAt: f.now, LastUsedAt: f.now}
}

func (f *fixture) claim(t *testing.T, n store.Name, since time.Time) (held store.Name) {
	t.Helper()
	f.write(t, func(ctx context.Context, tx store.Tx) (err error) {
		held, err = tx.Names().Claim(ctx, n, since)
		return err
	})
	return held
}

func (f *fixture) held(t *testing.T, host postern.Hostname) (held store.Name) {
	t.Helper()
	f.read(t, func(ctx context.Context, tx store.Tx) (err error) {
		held, err = tx.Names().Get(ctx, host)
		return err
	})
	return held
}

func testClaimName(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	want := f.name("app.example.com", first)
	want.Assigned, want.Endpoint, want.Kind, want.Slot = true, "web", "http", 3
	want.Installation = "one"
	since := f.now.Add(-month)
	if diff := cmp.Diff(want, f.claim(t, want, since)); diff != "" {
		t.Errorf("new claim (-want +got):\n%s", diff)
	}
	if got := f.claim(t, f.name(want.Host, second), since); got.Account != first.Account {
		t.Errorf("account %s took a name that %s holds", got.Account, first.Account)
	}
	again := f.name(want.Host, first)
	again.CreatedAt, again.LastUsedAt = f.now.Add(time.Hour), f.now.Add(time.Hour)
	want.LastUsedAt = again.LastUsedAt
	if diff := cmp.Diff(want, f.claim(t, again, since)); diff != "" {
		t.Errorf("claim of one's own name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, f.held(t, want.Host)); diff != "" {
		t.Errorf("stored name (-want +got):\n%s", diff)
	}
	fails(t, f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Names().Get(t.Context(), "other.example.com")
		return err
	}), postern.CodeNotFound)
}

func testLapsedName(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	f.claim(t, f.name("app.example.com", first), f.now.Add(-month))
	late := f.name("app.example.com", second)
	late.CreatedAt, late.LastUsedAt = f.now.Add(month), f.now.Add(month)
	if got := f.claim(t, late, late.CreatedAt.Add(-month)); got.Account != first.Account {
		t.Error("the name was lost at exactly thirty days, want after them")
	}
	late.Installation = "two"
	if diff := cmp.Diff(late, f.claim(t, late, late.CreatedAt.Add(-month+time.Microsecond))); diff != "" {
		t.Errorf("lapsed name (-want +got):\n%s", diff)
	}
}

func testRelatedNames(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	const domain = "example.com"
	since := f.now.Add(-month)
	for _, test := range []struct {
		held, asked postern.Hostname
		related     bool
	}{
		{"app.example.com", "app.example.com", true},
		{"app.example.com", "api.app.example.com", true},
		{"app.example.com", "a.b.c.app.example.com", true},
		{"api.app.example.com", "app.example.com", true},
		{"app.example.com", "*.app.example.com", true},
		{"*.app.example.com", "app.example.com", true},
		{"*.app.example.com", "x.app.example.com", true},
		{"x.app.example.com", "*.app.example.com", true},
		{"x.app.example.com", "*.example.com", true},
		{"*.example.com", "x.example.com", true},
		{"*.example.com", "*.example.com", true},
		{"app.example.com", "other.example.com", false},
		{"app.example.com", "myapp.example.com", false},
		{"app.example.com", "app2.example.com", false},
		{"app.example.com", "app-2.example.com", false},
		{"app.example.com", "ap.example.com", false},
		{"x.app.example.com", "y.app.example.com", false},
		{"*.a.example.com", "*.b.example.com", false},
		{"app.other.com", "app.example.com", false},
	} {
		err := f.Write(t.Context(), func(tx store.Tx) error {
			ctx := t.Context()
			if _, err := tx.Names().Claim(ctx, f.name(test.held, first), since); err != nil {
				return err
			}
			got, err := tx.Names().Related(ctx, test.asked, domain, second.Account, since)
			if related := err == nil; related != test.related || related && got.Host != test.held {
				t.Errorf("%s beside %s: got %q, %v; want related %v", test.asked, test.held, got.Host, err, test.related)
			}
			if _, err := tx.Names().Related(ctx, test.asked, domain, first.Account, since); !postern.HasCode(err, postern.CodeNotFound) {
				t.Errorf("%s is in the way of its own account: %v", test.held, err)
			}
			if _, err := tx.Names().Related(ctx, test.asked, domain, second.Account, f.now.Add(time.Second)); !postern.HasCode(err, postern.CodeNotFound) {
				t.Errorf("a lapsed %s is in the way: %v", test.held, err)
			}
			return errUndo
		})
		if err != errUndo { //nolint:errorlint // must come back as it is
			t.Fatalf("%s: %v", test.held, err)
		}
	}
}

func testNameSeries(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	add := func(host postern.Hostname, c postern.Credential, endpoint, kind string, slot int) store.Name {
		n := f.name(host, c)
		n.Assigned, n.Endpoint, n.Kind, n.Slot = true, endpoint, kind, slot
		return f.claim(t, n, f.now)
	}
	two := add("c.example.com", first, "web", "http", 2)
	zero := add("b.example.com", first, "web", "http", 0)
	add("d.example.com", first, "web", "tls", 0)
	add("e.example.com", first, "", "http", 0)
	add("f.example.com", second, "web", "http", 0)
	f.claim(t, f.name("g.example.com", first), f.now)
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Names().Series(ctx, first.ID, "web", "http")
		if diff := cmp.Diff([]store.Name{zero, two}, got); diff != "" {
			t.Errorf("series (-want +got):\n%s", diff)
		}
		return err
	})
}

func testKeepName(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	assigned, asked := f.name("a.example.com", c), f.name("b.example.com", c)
	assigned.Assigned, assigned.Kind = true, "http"
	f.claim(t, assigned, f.now)
	f.claim(t, asked, f.now)
	for _, installation := range []string{"one", "one", "two"} {
		f.write(t, func(ctx context.Context, tx store.Tx) error {
			for _, host := range []postern.Hostname{assigned.Host, asked.Host, "nobodys.example.com"} {
				if err := tx.Names().Keep(ctx, host, installation); err != nil {
					return err
				}
			}
			return nil
		})
		assigned.Installation = installation
		for _, want := range []store.Name{assigned, asked} {
			if diff := cmp.Diff(want, f.held(t, want.Host)); diff != "" {
				t.Errorf("kept by %s (-want +got):\n%s", installation, diff)
			}
		}
	}
	again := assigned
	again.Installation = ""
	if diff := cmp.Diff(assigned, f.claim(t, again, f.now)); diff != "" {
		t.Errorf("claimed again (-want +got):\n%s", diff)
	}
}

func testNameExpiry(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	for _, host := range []postern.Hostname{"a.example.com", "b.example.com", "c.example.com"} {
		f.claim(t, f.name(host, c), f.now)
	}
	later := f.now.Add(time.Hour)
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for host, at := range map[postern.Hostname]time.Time{
			"b.example.com": later, "c.example.com": f.now.Add(-time.Hour), "nobodys.example.com": later,
		} {
			if err := tx.Names().Touch(ctx, host, at); err != nil {
				return err
			}
		}
		return nil
	})
	if got := f.held(t, "c.example.com").LastUsedAt; !got.Equal(f.now) {
		t.Errorf("a touch moved the time of use backwards to %v", got)
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		count, err := tx.Names().Expire(ctx, later)
		if count != 2 {
			t.Errorf("%d names expired, want 2", count)
		}
		return err
	})
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		list, err := tx.Names().List(ctx, "", time.Time{}, 10)
		if len(list) != 1 || list[0].Host != "b.example.com" {
			t.Errorf("left: %+v, want b.example.com alone", list)
		}
		page, err2 := tx.Names().List(ctx, "b.example.com", time.Time{}, 10)
		if err == nil {
			err = err2
		}
		if len(page) != 0 {
			t.Errorf("a page after the last name holds %+v", page)
		}
		return err
	})
}
