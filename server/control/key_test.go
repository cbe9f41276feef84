package control_test

import (
	"fmt"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// A key that was proven stands for a token: its ACL holds, and its end is the session's.
func TestSessionOfAnSSHKey(t *testing.T) {
	w := newWorld(t)
	key := link.Hello{SSHKey: []byte("alpha")}
	if err := w.Knows(t.Context(), newAgent("198.51.100.7:1").addr.Addr(), key); err != nil {
		t.Fatal(err)
	}
	if sessions := w.Sessions(); len(sessions) != 0 {
		t.Errorf("to be known is to have %d sessions", len(sessions))
	}
	a := w.connect(key)
	a.bind(t, request(t, "https://app.example.com"))
	w.narrow("alpha", "bind:other.example.com")
	if w.reachable("app.example.com", true) {
		t.Error("the endpoint is online after its rule has gone")
	}
	a.refuse(t, request(t, "https://app.example.com"), postern.CodeNameNotAllowed)
	w.CredentialRevoked("cr_alpha")
	<-a.Done()
	if !postern.HasCode(a.Cause(), postern.CodeCredentialRevoked) {
		t.Errorf("the session ended with %v", a.Cause())
	}
}

// Keys that nobody knows are no guesses: most clients have some for other servers. Who
// has none that is known counts once, and an address that has failed too often is not
// heard, but for those who were right before.
func TestUnknownKeysAreNoGuesses(t *testing.T) {
	w := newWorld(t) // 20 failures a minute
	addr := newAgent("198.51.100.7:1").addr.Addr()
	if err := w.Knows(t.Context(), addr, link.Hello{SSHKey: []byte("beta")}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := w.Knows(t.Context(), addr, link.Hello{SSHKey: fmt.Append(nil, i)}); !postern.HasCode(err, postern.CodeSSHKeyUnknown) {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	for i := range 20 {
		w.KeysRefused(t.Context(), addr, fmt.Append(nil, i))
	}
	if err := w.Knows(t.Context(), addr, link.Hello{SSHKey: []byte("alpha")}); !postern.HasCode(err, postern.CodeTooManyFailures) {
		t.Errorf("after 20 failures: %v", err)
	}
	if err := w.Knows(t.Context(), addr, link.Hello{SSHKey: []byte("beta")}); err != nil {
		t.Errorf("who was right before: %v", err)
	}
	// A key is no token that happens to be spelled alike.
	if _, _, err := w.Admit(t.Context(), newAgent("203.0.113.9:1"), link.Hello{SSHKey: []byte{}}); err == nil {
		t.Error("an empty key was admitted")
	}
}
