package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// sameCredential compares all but the ACL's inside, which its text stands for.
func sameCredential(t *testing.T, want, got postern.Credential) {
	t.Helper()
	if diff := cmp.Diff(want.ACL.Strings(), got.ACL.Strings()); diff != "" {
		t.Errorf("ACL (-want +got):\n%s", diff)
	}
	want.ACL, got.ACL = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
}

func testCredentials(t *testing.T, f *fixture) {
	want := f.owner(t, 1)
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Credentials().Get(ctx, want.ID)
		sameCredential(t, want, got.Credential)
		if got.Revoked() {
			t.Error("a new credential is revoked")
		}
		return err
	})
	open := want
	open.ID, open.ACL = "cr_open", nil
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Credentials().Create(ctx, open) })
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Credentials().Get(ctx, open.ID)
		if len(got.ACL) != 0 {
			t.Errorf("a credential without rules came back with %q", got.ACL.Strings())
		}
		return err
	})
	fails(t, f.Write(t.Context(), func(tx store.Tx) error { return tx.Credentials().Create(t.Context(), want) }), postern.CodeConflict)
	fails(t, f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Credentials().Get(t.Context(), "cr_nobody")
		return err
	}), postern.CodeNotFound)
}

func testUpdateCredential(t *testing.T, f *fixture) {
	c, other := f.owner(t, 1), f.owner(t, 2)
	changed := c
	changed.Description, changed.Metadata = "gateway of customer 1", "é\n"
	changed.Account, changed.Owner, changed.Verifier = other.Account, other.Owner, other.Verifier // not what an update is for
	for _, rules := range [][]string{{"bind:*.c1.example.com", "access:office:22"}, {}} {
		acl, err := postern.ParseACL(rules)
		if err != nil {
			t.Fatal(err)
		}
		changed.ACL = acl
		f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Credentials().Update(ctx, changed) })
		want := c
		want.Description, want.Metadata, want.ACL = changed.Description, changed.Metadata, acl
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			got, err := tx.Credentials().Get(ctx, c.ID)
			sameCredential(t, want, got.Credential)
			return err
		})
	}
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Credentials().Get(ctx, other.ID)
		sameCredential(t, other, got.Credential)
		return err
	})
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Credentials().Revoke(ctx, c.ID, f.now) })
	for _, id := range []postern.CredentialID{c.ID, "cr_nobody"} {
		changed.ID = id
		fails(t, f.Write(t.Context(), func(tx store.Tx) error { return tx.Credentials().Update(t.Context(), changed) }), postern.CodeNotFound)
	}
}

func testRevoke(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	at := f.now.Add(time.Minute)
	const contenders = 8
	outcomes := make([]error, contenders)
	var group sync.WaitGroup
	for i := range contenders {
		group.Go(func() {
			outcomes[i] = f.Write(t.Context(), func(tx store.Tx) error { return tx.Credentials().Revoke(t.Context(), c.ID, at) })
		})
	}
	group.Wait()
	var won int
	for _, err := range outcomes {
		if err == nil {
			won++
			continue
		}
		fails(t, err, postern.CodeNotFound)
	}
	if won != 1 {
		t.Errorf("%d revocations of one credential succeeded, want 1", won)
	}
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Credentials().Get(ctx, c.ID)
		if !got.RevokedAt.Equal(at) {
			t.Errorf("revoked at %v, want %v", got.RevokedAt, at)
		}
		return err
	})
}

func testCredentialPages(t *testing.T, f *fixture) {
	first := f.owner(t, 1)
	want := []postern.CredentialID{first.ID}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for i := range 7 {
			c := first
			c.ID = postern.CredentialID(fmt.Sprintf("cr_1%c", "Za0Y9bB"[i]))
			want = append(want, c.ID)
			if err := tx.Credentials().Create(ctx, c); err != nil {
				return err
			}
		}
		return tx.Credentials().Revoke(ctx, "cr_1Y", f.now)
	})
	want = slices.DeleteFunc(want, func(id postern.CredentialID) bool { return id == "cr_1Y" })
	slices.Sort(want)
	var got []postern.CredentialID
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		var after postern.CredentialID
		for {
			page, err := tx.Credentials().List(ctx, after, 3)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, c := range page {
				got, after = append(got, c.ID), c.ID
			}
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("valid credentials in pages (-want +got):\n%s", diff)
	}
}

func testReferences(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	orphan := errors.New("stop")
	for what, fn := range map[string]func(context.Context, store.Tx) error{
		"user": func(ctx context.Context, tx store.Tx) error {
			return tx.Users().Create(ctx, store.User{Meta: store.Meta{ID: "usr_x", Account: "ac_nobody", CreatedAt: f.now}})
		},
		"credential": func(ctx context.Context, tx store.Tx) error {
			other := c
			other.ID, other.Owner = "cr_x", "usr_nobody"
			return tx.Credentials().Create(ctx, other)
		},
		"API key": func(ctx context.Context, tx store.Tx) error {
			return tx.APIKeys().Create(ctx, store.APIKey{ID: "ak_x", Account: "ac_nobody", Owner: c.Owner, CreatedAt: f.now})
		},
	} {
		err := f.Write(t.Context(), func(tx store.Tx) error {
			if err := fn(t.Context(), tx); err != nil {
				return err
			}
			return orphan
		})
		if errors.Is(err, orphan) {
			t.Errorf("a %s without an owner was created", what)
			continue
		}
		fails(t, err, postern.CodeNotFound)
	}
}
