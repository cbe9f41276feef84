package service_test

import (
	"errors"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// B5-16: setting the clock a day ahead, back, and right again logs nobody out and takes
// nobody's name; a token that overlaps its successor is judged by the time that it is now.
func TestClockIsSet(t *testing.T) {
	w := newWorld(t)
	c, first := w.bootstrap(t)
	theirs := w.stranger(t, "2")
	_, second, err := w.RotateCredential(t.Context(), operator(c.Account), c.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	mine := func(when string) {
		t.Helper()
		for _, host := range []postern.Hostname{"app.example.com", "late.example.com"} {
			if err := w.ClaimName(t.Context(), c, host); err != nil {
				t.Errorf("%s: %s: %v", when, host, err)
			}
			refused(t, w.ClaimName(t.Context(), theirs, host), postern.CodeNameReserved)
		}
		if err := w.ClaimPort(t.Context(), c, postern.TCP, 20001); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		refused(t, w.ClaimPort(t.Context(), theirs, postern.TCP, 20001), postern.CodePortUnavailable)
		if err := errors.Join(w.Flush(t.Context()), w.Sweep(t.Context())); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	mine("right")
	admitted(t, w, "right", secrets{first, second}, nil)
	for _, jump := range []struct {
		when string
		by   time.Duration
		good secrets
		bad  secrets
	}{
		{"a day ahead", day, secrets{second}, secrets{first}},
		{"right again", -day, secrets{first, second}, nil},
		{"a day back", -day, secrets{first, second}, nil}, // before either was made
		{"right once more", day, secrets{first, second}, nil},
	} {
		w.clock.Advance(jump.by)
		admitted(t, w, jump.when, jump.good, jump.bad)
		mine(jump.when)
		w.store.down.Store(true)
		admitted(t, w, jump.when+", store down", jump.good, jump.bad)
		w.store.down.Store(false)
	}
	w = w.restart(t)
	admitted(t, w, "after a restart", secrets{first, second}, nil)
	mine("after a restart")
	// What was made while the clock was ahead is good when it is right.
	w.clock.Advance(day)
	later, token := w.credential(t, c)
	if err := w.ClaimName(t.Context(), later, "early.example.com"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(-day)
	admitted(t, w, "made ahead", secrets{token}, nil)
	refused(t, w.ClaimName(t.Context(), theirs, "early.example.com"), postern.CodeNameReserved)
	w.clock.Advance(29 * day)
	mine("29 days later")
	w.clock.Advance(29 * day)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = w.store.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Names().Get(t.Context(), "app.example.com")
		if err != nil {
			t.Errorf("a name that was used 29 days ago: %v", err)
		}
		_, err = tx.Names().Get(t.Context(), "early.example.com")
		refused(t, err, postern.CodeNotFound)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
