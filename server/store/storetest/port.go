package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func testPorts(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	since := f.now.Add(-month)
	claim := func(p store.Port, since time.Time) (held store.Port) {
		t.Helper()
		f.write(t, func(ctx context.Context, tx store.Tx) (err error) {
			held, err = tx.Ports().Claim(ctx, p, since)
			return err
		})
		return held
	}
	want := store.Port{
		PortKey: store.PortKey{Scheme: postern.TCP, Port: 65535}, Account: first.Account, Credential: first.ID, Assigned: true, Endpoint: "ssh", Installation: "one",
		CreatedAt: f.now, LastUsedAt: f.now,
	}
	if diff := cmp.Diff(want, claim(want, since)); diff != "" {
		t.Errorf("new port (-want +got):\n%s", diff)
	}
	other := store.Port{PortKey: store.PortKey{Scheme: postern.TCP, Port: 65535}, Account: second.Account, Credential: second.ID, CreatedAt: f.now, LastUsedAt: f.now}
	if got := claim(other, since); got.Account != first.Account {
		t.Errorf("account %s took a port that %s holds", got.Account, first.Account)
	}
	other.Port = 20000
	claim(other, since)
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for _, port := range []uint16{65535, 20000, 1} { // 20000 was not assigned, 1 is nobody's
			if err := tx.Ports().Keep(ctx, tcp(port), "two"); err != nil {
				return err
			}
		}
		return tx.Ports().Touch(ctx, tcp(65535), f.now.Add(time.Hour))
	})
	want.Installation, want.LastUsedAt = "two", f.now.Add(time.Hour)
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		for _, test := range []struct {
			lo, hi uint16
			since  time.Time
			want   []store.Port
		}{
			{0, 65535, since, []store.Port{other, want}},
			{20000, 20000, since, []store.Port{other}},
			{20001, 65534, since, []store.Port{}},
			{0, 65535, f.now.Add(time.Minute), []store.Port{want}},
		} {
			got, err := tx.Ports().Held(ctx, postern.TCP, test.lo, test.hi, test.since)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ports %d to %d (-want +got):\n%s", test.lo, test.hi, diff)
			}
		}
		return nil
	})
	lapsed := f.now.Add(2 * time.Hour)
	other.Port, other.LastUsedAt, other.CreatedAt = 65535, lapsed, lapsed
	if diff := cmp.Diff(other, claim(other, lapsed)); diff != "" {
		t.Errorf("lapsed port (-want +got):\n%s", diff)
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		count, err := tx.Ports().Expire(ctx, lapsed)
		if count != 1 {
			t.Errorf("%d ports expired, want 1", count)
		}
		return err
	})
	fails(t, f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Ports().Get(t.Context(), tcp(20000))
		return err
	}), postern.CodeNotFound)
}

func tcp(port uint16) store.PortKey { return store.PortKey{Scheme: postern.TCP, Port: port} }

// Ports of one number are one of tcp and one of udp, which know nothing of each other.
func testPortsOfBothSchemes(t *testing.T, f *fixture) {
	first, second := f.owner(t, 1), f.owner(t, 2)
	since := f.now.Add(-month)
	held := func(scheme postern.Scheme, account postern.AccountID, credential postern.CredentialID) store.Port {
		return store.Port{PortKey: store.PortKey{Scheme: scheme, Port: 20000}, Account: account, Credential: credential,
			Assigned: true, Installation: "one", CreatedAt: f.now, LastUsedAt: f.now}
	}
	stream, datagram := held(postern.TCP, first.Account, first.ID), held(postern.UDP, second.Account, second.ID)
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for _, p := range []store.Port{stream, datagram} {
			got, err := tx.Ports().Claim(ctx, p, since)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(p, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", p.Scheme, diff)
			}
		}
		if err := tx.Ports().Keep(ctx, datagram.PortKey, "two"); err != nil {
			return err
		}
		return tx.Ports().Touch(ctx, datagram.PortKey, f.now.Add(time.Hour))
	})
	datagram.Installation, datagram.LastUsedAt = "two", f.now.Add(time.Hour)
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		for _, want := range []store.Port{stream, datagram} {
			got, err := tx.Ports().Held(ctx, want.Scheme, 0, 65535, since)
			if err != nil {
				return err
			}
			if diff := cmp.Diff([]store.Port{want}, got); diff != "" {
				t.Errorf("held of %s (-want +got):\n%s", want.Scheme, diff)
			}
		}
		return nil
	})
}
