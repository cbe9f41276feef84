package service_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

func rules(texts ...string) service.CredentialUpdate { return service.CredentialUpdate{ACL: &texts} }

func TestUpdateCredential(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	c, token := w.credential(t, first, "bind:*.example.com")
	heard := w.bus.Subscribe(4, event.CredentialUpdated)
	defer heard.Close()

	description, metadata := "gateway of customer 1", `{"site": 7}`
	updated, err := w.UpdateCredential(t.Context(), c.ID, service.CredentialUpdate{Description: &description})
	if err != nil || updated.Description != description || len(updated.ACL) != 1 {
		t.Errorf("got %+v, %v", updated, err)
	}
	update := rules("bind:*.Bücher.example.com", "access:Büro:22")
	update.Metadata = &metadata
	if _, err := w.UpdateCredential(t.Context(), c.ID, update); err != nil {
		t.Fatal(err)
	}
	want := []string{"bind:*.xn--bcher-kva.example.com", "access:xn--bro-hoa:22"}
	got, _, err := w.Authenticate(t.Context(), token)
	if err != nil || got.Description != description || got.Metadata != metadata || got.Verifier != c.Verifier || got.Owner != c.Owner ||
		!slices.Equal(got.ACL.Strings(), want) {
		t.Errorf("the next agent gets %+v, %v", got, err)
	}
	for range 2 {
		d, err := heard.Next(t.Context())
		if err != nil || d.Record.Subject != string(c.ID) || d.Record.Account != c.Account {
			t.Fatalf("heard %+v, %v", d, err)
		}
		var object struct {
			ID, Description string
			ACL             []string
		}
		if err := json.Unmarshal(d.Record.Object, &object); err != nil || object.ID != string(c.ID) || object.Description != description || len(object.ACL) == 0 {
			t.Errorf("the event shows %s", d.Record.Object)
		}
	}
	if updated, err := w.UpdateCredential(t.Context(), c.ID, rules()); err != nil || len(updated.ACL) != 0 || updated.Metadata != metadata {
		t.Errorf("without limits: %+v, %v", updated, err)
	}
	if n := w.count(t, event.CredentialUpdated); n != 3 {
		t.Errorf("%d events of 3 updates", n)
	}
}

func TestUpdatesThatAreRefusedChangeNothing(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	c, token := w.credential(t, first, "bind:*.example.com")
	gone, _ := w.credential(t, first)
	if err := w.RevokeCredential(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	long, nul := strings.Repeat("x", 256), "a\x00b"
	for _, test := range []struct {
		id     postern.CredentialID
		update service.CredentialUpdate
		code   postern.Code
	}{
		{c.ID, rules("bind:*", "deny:*"), postern.CodeACLInvalid},
		{c.ID, rules("bind:ü ü.example.com"), postern.CodeACLInvalid},
		{c.ID, rules("ü"), postern.CodeACLInvalid},
		{c.ID, rules(slices.Repeat([]string{"bind:*"}, postern.MaxACLRules+1)...), postern.CodeACLInvalid},
		{c.ID, service.CredentialUpdate{Description: &long}, postern.CodeFieldInvalid},
		{c.ID, service.CredentialUpdate{Metadata: &nul}, postern.CodeFieldInvalid},
		{gone.ID, rules("bind:*"), postern.CodeNotFound},
		{"cr_nobody", rules("bind:*"), postern.CodeNotFound},
	} {
		_, err := w.UpdateCredential(t.Context(), test.id, test.update)
		refused(t, err, test.code)
	}
	w.store.down.Store(true)
	_, err := w.UpdateCredential(t.Context(), c.ID, rules("bind:a.example.com"))
	refused(t, err, postern.CodeStoreUnavailable)
	w.store.down.Store(false)
	got, _, err := w.Authenticate(t.Context(), token)
	if diff := cmp.Diff([]string{"bind:*.example.com"}, got.ACL.Strings()); err != nil || diff != "" {
		t.Errorf("%v, the ACL (-want +got):\n%s", err, diff)
	}
	if n := w.count(t, event.CredentialUpdated); n != 0 {
		t.Errorf("%d events of updates that failed", n)
	}
}

// B5-19: while the store is down the last ACL that this process made holds, also when a
// look-up was under way that had read the one before.
func TestUpdateAgainstLookUpsUnderWay(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	c, token := w.credential(t, first)
	check := func(want string) {
		t.Helper()
		got, _, err := w.Authenticate(t.Context(), token)
		if err != nil || fmt.Sprint(got.ACL.Strings()) != want {
			t.Errorf("got %v, %v; want %s", got.ACL.Strings(), err, want)
		}
	}
	narrow := func() {
		if _, err := w.UpdateCredential(t.Context(), c.ID, rules("bind:a.example.com")); err != nil {
			t.Error(err)
		}
	}
	w.store.afterRead.Store(&narrow)
	check("[bind:a.example.com]")
	w.store.down.Store(true)
	check("[bind:a.example.com]")
	if known, ok := w.KnownCredential(c.ID); !ok || known.Description != c.Description || len(known.ACL) != 1 {
		t.Errorf("known is %+v, %v", known, ok)
	}
	inForce, remembered, err := w.CredentialInForce(t.Context(), c.ID)
	if err != nil || !remembered || len(inForce.ACL) != 1 {
		t.Errorf("in force is %+v, %v, %v", inForce, remembered, err)
	}
	_, _, err = w.CredentialInForce(t.Context(), "cr_nobody")
	refused(t, err, postern.CodeStoreUnavailable)
	w.store.down.Store(false)

	// What another process changes is seen as soon as the store is asked.
	other := openWorld(t, w.from, w.clock)
	if _, err := other.UpdateCredential(t.Context(), c.ID, rules("bind:b.example.com")); err != nil {
		t.Fatal(err)
	}
	check("[bind:b.example.com]")
	if inForce, remembered, err := w.CredentialInForce(t.Context(), c.ID); err != nil || remembered || inForce.ACL.Strings()[0] != "bind:b.example.com" {
		t.Errorf("in force is %+v, %v, %v", inForce, remembered, err)
	}
	if err := other.RevokeCredential(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.CredentialInForce(t.Context(), c.ID)
	refused(t, err, postern.CodeNotFound)
	if _, ok := other.KnownCredential(c.ID); ok {
		t.Error("a revoked credential is known as a valid one")
	}
}
