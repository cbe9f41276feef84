package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

func TestAuthenticate(t *testing.T) {
	w := newWorld(t)
	made := must[service.Bootstrap](t)(w.Bootstrap(t.Context()))
	token := made.Authtoken.Reveal()
	c, account, err := w.Authenticate(t.Context(), made.Authtoken)
	if err != nil || c.Account != made.AccountID || account.ID != made.AccountID || c.Owner != made.UserID {
		t.Fatalf("got %+v of %+v, %v", c, account, err)
	}
	if account.Name == "" {
		t.Error("the account has no name to show")
	}
	swapped := token[:len(token)-1] + string(rune('a'+(token[len(token)-1]+1)%26))
	for _, test := range []struct {
		name, token string
		code        postern.Code
	}{
		{"nothing", "", postern.CodeTokenMalformed},
		{"a word", "hello", postern.CodeTokenMalformed},
		{"cut short", token[:len(token)-1], postern.CodeTokenMalformed},
		{"too long", token + "x", postern.CodeTokenMalformed},
		{"quoted", `"` + token + `"`, postern.CodeTokenMalformed},
		{"a blank inside", strings.Replace(token, "_", " ", 1), postern.CodeTokenMalformed},
		{"the id", string(c.ID), postern.CodeTokenMalformed},
		{"an API key", made.APIKey.Reveal(), postern.CodeTokenInvalid},
		{"wrong secret", swapped, postern.CodeTokenInvalid},
		{"unknown id", strings.Repeat("0", 27) + token[27:], postern.CodeTokenInvalid},
	} {
		_, _, err := w.Authenticate(t.Context(), postern.Secret(test.token))
		if !postern.HasCode(err, test.code) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.code)
		}
		if err != nil && len(test.token) > 5 && strings.Contains(err.Error(), test.token) {
			t.Errorf("%s: the error shows the token: %v", test.name, err)
		}
	}
}

func TestCreateCredentialChecksItsFields(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	other := w.stranger(t, "other")
	for name, test := range map[string]struct {
		change func(*service.NewCredential)
		code   postern.Code
	}{
		"a bad rule":            {func(n *service.NewCredential) { n.ACL = []string{"deny:x"} }, postern.CodeACLInvalid},
		"a long description":    {func(n *service.NewCredential) { n.Description = strings.Repeat("x", 256) }, postern.CodeFieldInvalid},
		"long metadata":         {func(n *service.NewCredential) { n.Metadata = strings.Repeat("x", 4097) }, postern.CodeFieldInvalid},
		"a NUL":                 {func(n *service.NewCredential) { n.Metadata = "a\x00b" }, postern.CodeFieldInvalid},
		"no UTF-8":              {func(n *service.NewCredential) { n.Description = "\xff" }, postern.CodeFieldInvalid},
		"nobody's":              {func(n *service.NewCredential) { n.Owner = "usr_nobody" }, postern.CodeNotFound},
		"an owner from outside": {func(n *service.NewCredential) { n.Owner = other.Owner }, postern.CodeNotFound},
	} {
		n := service.NewCredential{Account: first.Account, Owner: first.Owner}
		test.change(&n)
		_, token, err := w.CreateCredential(t.Context(), n)
		if !postern.HasCode(err, test.code) || token != "" {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
	c, token := w.credential(t, first, "bind:*.example.com")
	got, _, err := w.Authenticate(t.Context(), token)
	if err != nil || got.ID != c.ID || fmt.Sprint(got.ACL.Strings()) != "[bind:*.example.com]" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// B5-19 in the small: what is known is admitted without the store, what is not is told
// so, and nobody gets in whom the store would refuse.
func TestKnownCredentialsAreAdmittedWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	first, token := w.bootstrap(t)
	_, revokedToken := func() (postern.Credential, postern.Secret) {
		c, token := w.credential(t, first)
		if err := w.RevokeCredential(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		return c, token
	}()
	check := func(t *testing.T, w *world) {
		t.Helper()
		w.store.down.Store(true)
		defer w.store.down.Store(false)
		if c, account, err := w.Authenticate(t.Context(), token); err != nil || c.ID != first.ID || account.ID != first.Account {
			t.Errorf("a known credential: %+v, %v", c, err)
		}
		wrong := token.Reveal()[:28] + strings.Repeat("0", 21)
		_, _, err := w.Authenticate(t.Context(), postern.Secret(wrong))
		refused(t, err, postern.CodeTokenInvalid)
		unknown := strings.Repeat("0", 27) + token.Reveal()[27:]
		_, _, err = w.Authenticate(t.Context(), postern.Secret(unknown))
		refused(t, err, postern.CodeStoreUnavailable)
		if _, _, err = w.Authenticate(t.Context(), revokedToken); err == nil {
			t.Error("a revoked credential was admitted")
		}
	}
	check(t, w)
	check(t, w.restart(t)) // known from the start, not from a first visit
}

func TestRevocationWins(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	c, token := w.credential(t, first)
	heard := w.bus.Subscribe(4, event.CredentialRevoked)
	defer heard.Close()
	if err := w.RevokeCredential(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	d, err := heard.Next(t.Context())
	if err != nil || d.Record.Subject != string(c.ID) || d.Record.Account != c.Account {
		t.Errorf("heard %+v, %v", d, err)
	}
	_, _, err = w.Authenticate(t.Context(), token)
	refused(t, err, postern.CodeTokenInvalid)
	w.store.down.Store(true)
	_, _, err = w.Authenticate(t.Context(), token)
	refused(t, err, postern.CodeTokenInvalid)
	w.store.down.Store(false)
	refused(t, w.RevokeCredential(t.Context(), c.ID), postern.CodeNotFound)
	refused(t, w.RevokeCredential(t.Context(), "cr_nobody"), postern.CodeNotFound)
	_, err = w.Credential(t.Context(), c.ID)
	refused(t, err, postern.CodeNotFound)
	if n := w.count(t, event.CredentialRevoked); n != 1 {
		t.Errorf("%d events of one revocation", n)
	}
}

// A revocation that fails changes nothing: the operator is told and can repeat it.
func TestFailedRevocationChangesNothing(t *testing.T) {
	w := newWorld(t)
	c, token := w.bootstrap(t)
	w.store.down.Store(true)
	refused(t, w.RevokeCredential(t.Context(), c.ID), postern.CodeStoreUnavailable)
	w.store.down.Store(false)
	if _, _, err := w.Authenticate(t.Context(), token); err != nil {
		t.Errorf("after a revocation that failed: %v", err)
	}
}

// A look-up that read the credential before it was revoked neither admits it after the
// revocation returned, nor brings it back for when the store is down.
func TestRevocationAgainstLookUpsUnderWay(t *testing.T) {
	w := newWorld(t)
	first, _ := w.bootstrap(t)
	c, token := w.credential(t, first)
	revoke := func() {
		if err := w.RevokeCredential(t.Context(), c.ID); err != nil {
			t.Error(err)
		}
	}
	w.store.afterRead.Store(&revoke)
	_, _, err := w.Authenticate(t.Context(), token)
	refused(t, err, postern.CodeTokenInvalid)
	w.store.down.Store(true)
	_, _, err = w.Authenticate(t.Context(), token)
	refused(t, err, postern.CodeTokenInvalid)
}
