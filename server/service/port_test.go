package service_test

import (
	"slices"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

func TestPorts(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	const lo, hi = 20000, 20003
	assign := func(c postern.Credential, endpoint string, taken ...uint16) (uint16, error) {
		return w.AssignPort(t.Context(), asker(c, endpoint), postern.TCP, 0, lo, hi, func(p uint16) bool { return slices.Contains(taken, p) })
	}
	first := must[uint16](t)(assign(mine, "ssh"))
	if first < lo || first > hi {
		t.Fatalf("port %d is outside of %d to %d", first, lo, hi)
	}
	if again := must[uint16](t)(assign(mine, "ssh")); again != first {
		t.Errorf("asked again: %d, want %d", again, first)
	}
	second := must[uint16](t)(assign(mine, "ssh", first))
	db := must[uint16](t)(assign(mine, "db"))
	foreign := must[uint16](t)(assign(theirs, "ssh"))
	all := []uint16{first, second, db, foreign}
	slices.Sort(all)
	if len(slices.Compact(all)) != 4 {
		t.Fatalf("a port was given twice: %d, %d, %d, %d", first, second, db, foreign)
	}
	_, err := assign(theirs, "db")
	refused(t, err, postern.CodePortUnavailable)
	if _, err := w.AssignPort(t.Context(), asker(mine, ""), postern.TCP, foreign, lo, hi, none[uint16]); !postern.HasCode(err, postern.CodePortUnavailable) {
		t.Errorf("a port of another account: %v", err)
	}
	if got, err := w.AssignPort(t.Context(), asker(mine, ""), postern.TCP, db, lo, hi, none[uint16]); got != db || err != nil {
		t.Errorf("a port of one's own, by number: %d, %v", got, err)
	}
	for _, want := range []uint16{lo - 1, hi + 1, 1} {
		_, err := w.AssignPort(t.Context(), asker(mine, ""), postern.TCP, want, lo, hi, none[uint16])
		refused(t, err, postern.CodePortUnavailable)
	}
	_, err = w.AssignPort(t.Context(), asker(mine, ""), postern.TCP, 0, 0, 0, none[uint16])
	refused(t, err, postern.CodePortUnavailable)
	if n := w.count(t, event.PortClaimed); n != 4 {
		t.Errorf("%d events, want 4", n)
	}

	w.clock.Advance(31 * day)
	if err := w.ClaimPort(t.Context(), theirs, postern.TCP, first); err != nil {
		t.Errorf("a lapsed port: %v", err)
	}
	if next := must[uint16](t)(assign(mine, "ssh", second)); next == first {
		t.Error("a port that has gone to another account was assigned")
	}
}

func TestWholeRangeIsUsed(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	var taken []uint16
	for range 16 {
		p := must[uint16](t)(w.AssignPort(t.Context(), asker(c, ""), postern.TCP, 0, 65520, 65535, func(p uint16) bool { return slices.Contains(taken, p) }))
		taken = append(taken, p)
	}
	slices.Sort(taken)
	if len(slices.Compact(taken)) != 16 || taken[0] != 65520 || taken[15] != 65535 {
		t.Errorf("got %v", taken)
	}
}

func TestKnownPortsWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	p := must[uint16](t)(w.AssignPort(t.Context(), asker(mine, "ssh"), postern.TCP, 0, 20000, 20010, none[uint16]))
	w = w.restart(t)
	w.store.down.Store(true)
	again, err := w.AssignPort(t.Context(), asker(mine, "ssh"), postern.TCP, 0, 20000, 20010, none[uint16])
	if again != p || err != nil {
		t.Errorf("got %d, %v, want %d", again, err, p)
	}
	if err := w.ClaimPort(t.Context(), mine, postern.TCP, p); err != nil {
		t.Errorf("a known port by number: %v", err)
	}
	refused(t, w.ClaimPort(t.Context(), theirs, postern.TCP, p), postern.CodePortUnavailable)
	_, err = w.AssignPort(t.Context(), asker(mine, "db"), postern.TCP, 0, 20000, 20010, none[uint16])
	refused(t, err, postern.CodeStoreUnavailable)
}

// Ports of udp endpoints are held, remembered and given back as those of tcp, and are
// others: what one account holds of tcp another may hold of udp.
func TestPortsOfBothSchemes(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
	stream := must[uint16](t)(w.AssignPort(t.Context(), asker(mine, "ssh"), postern.TCP, 0, 20000, 20000, none[uint16]))
	datagrams := must[uint16](t)(w.AssignPort(t.Context(), asker(theirs, "dns"), postern.UDP, 0, 20000, 20000, none[uint16]))
	if stream != 20000 || datagrams != 20000 {
		t.Errorf("assigned %d and %d", stream, datagrams)
	}
	refused(t, w.ClaimPort(t.Context(), mine, postern.UDP, 20000), postern.CodePortUnavailable)
	refused(t, w.ClaimPort(t.Context(), theirs, postern.TCP, 20000), postern.CodePortUnavailable)
	again := must[uint16](t)(w.AssignPort(t.Context(), asker(theirs, "dns"), postern.UDP, 0, 20000, 20010, none[uint16]))
	if again != datagrams {
		t.Errorf("given %d again, was %d", again, datagrams)
	}
}
