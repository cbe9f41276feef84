package service_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// sshKey makes a key, in its two forms.
func sshKey(t *testing.T) (wire []byte, line string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := must[ssh.PublicKey](t)(ssh.NewPublicKey(public))
	return key.Marshal(), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// A key is its owner's from when it was added to when it is deleted, with the ACL that it
// has then, and may claim names and ports as authtokens do.
func TestAuthenticateSSHKey(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	by := service.Caller{Account: first.Account, Principal: first.Owner, Role: postern.Owner}
	wire, line := sshKey(t)
	_, _, err := w.AuthenticateSSHKey(t.Context(), wire)
	refused(t, err, postern.CodeSSHKeyUnknown)
	for _, bad := range [][]byte{nil, {1, 2, 3}, append(wire[:len(wire):len(wire)], 0)} {
		_, _, err := w.AuthenticateSSHKey(t.Context(), bad)
		refused(t, err, postern.CodeSSHKeyUnknown)
	}
	made := must[resource.SSHCredential](t)(w.SSHCredentials().Create(t.Context(), by, resource.SSHCredentialCreate{PublicKey: line, ACL: []string{"bind:*.team." + string(domain)}}))
	c, account, err := w.AuthenticateSSHKey(t.Context(), wire)
	if err != nil || string(c.ID) != made.ID || account.ID != first.Account || c.Owner != first.Owner || len(c.ACL) != 1 {
		t.Fatalf("got %+v of %+v, %v", c, account, err)
	}
	if err := w.ClaimName(t.Context(), c, "a.team."+domain); err != nil {
		t.Errorf("a name for an SSH key: %v", err)
	}
	if err := w.ClaimPort(t.Context(), c, postern.TCP, 20001); err != nil {
		t.Errorf("a port for an SSH key: %v", err)
	}
	narrow := []string{"bind:b.team." + string(domain)}
	heard := w.bus.Subscribe(4, event.SSHCredentialUpdated, event.SSHCredentialDeleted)
	defer heard.Close()
	must[resource.SSHCredential](t)(w.SSHCredentials().Update(t.Context(), by, made.ID, resource.SSHCredentialUpdate{ACL: &narrow}))
	if known, ok := w.KnownCredential(c.ID); !ok || known.ACL.Strings()[0] != narrow[0] {
		t.Errorf("known is %+v, %v", known, ok)
	}
	if err := w.SSHCredentials().Delete(t.Context(), by, made.ID); err != nil {
		t.Fatal(err)
	}
	for _, want := range []postern.EventType{event.SSHCredentialUpdated, event.SSHCredentialDeleted} {
		if d, err := heard.Next(t.Context()); err != nil || d.Record.Type != want || d.Record.Subject != made.ID {
			t.Errorf("heard %+v, %v, want %s", d.Record, err, want)
		}
	}
	_, _, err = w.AuthenticateSSHKey(t.Context(), wire)
	refused(t, err, postern.CodeSSHKeyUnknown)
	_, _, err = w.CredentialInForce(t.Context(), c.ID)
	refused(t, err, postern.CodeNotFound)
	again := must[resource.SSHCredential](t)(w.SSHCredentials().Create(t.Context(), by, resource.SSHCredentialCreate{PublicKey: line}))
	if c, _, err := w.AuthenticateSSHKey(t.Context(), wire); err != nil || string(c.ID) != again.ID {
		t.Errorf("added again: %+v, %v", c, err)
	}
}

// B5-19: keys that this process knows are good while the store is down, those that were
// deleted are not, and those that it does not know are not judged.
func TestKnownSSHKeysWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	by := service.Caller{Account: first.Account, Principal: first.Owner, Role: postern.Owner}
	known, line := sshKey(t)
	made := must[resource.SSHCredential](t)(w.SSHCredentials().Create(t.Context(), by, resource.SSHCredentialCreate{PublicKey: line}))
	deleted, line := sshKey(t)
	gone := must[resource.SSHCredential](t)(w.SSHCredentials().Create(t.Context(), by, resource.SSHCredentialCreate{PublicKey: line}))
	if err := w.SSHCredentials().Delete(t.Context(), by, gone.ID); err != nil {
		t.Fatal(err)
	}
	unknown, _ := sshKey(t)
	check := func(w *world) {
		t.Helper()
		w.store.down.Store(true)
		defer w.store.down.Store(false)
		if c, account, err := w.AuthenticateSSHKey(t.Context(), known); err != nil || string(c.ID) != made.ID || account.ID != first.Account {
			t.Errorf("a known key: %+v, %v", c, err)
		}
		for _, key := range [][]byte{deleted, unknown} {
			if _, _, err := w.AuthenticateSSHKey(t.Context(), key); err == nil {
				t.Error("a key that is nobody's was admitted")
			}
		}
	}
	check(w)
	check(w.restart(t)) // known from the start, not from a first visit
}

// A look-up that read the key before it was deleted does not admit it afterwards, nor
// bring it back for when the store is down.
func TestDeletedSSHKeyAgainstLookUpsUnderWay(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	by := service.Caller{Account: first.Account, Principal: first.Owner, Role: postern.Owner}
	wire, line := sshKey(t)
	made := must[resource.SSHCredential](t)(w.SSHCredentials().Create(t.Context(), by, resource.SSHCredentialCreate{PublicKey: line}))
	remove := func() {
		if err := w.SSHCredentials().Delete(t.Context(), by, made.ID); err != nil {
			t.Error(err)
		}
	}
	w.store.afterRead.Store(&remove)
	_, _, err := w.AuthenticateSSHKey(t.Context(), wire)
	refused(t, err, postern.CodeSSHKeyUnknown)
	w.store.down.Store(true)
	if _, _, err := w.AuthenticateSSHKey(t.Context(), wire); err == nil {
		t.Error("a deleted key is back while the store is down")
	}
}
