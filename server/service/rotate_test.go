package service_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// operator may do everything in the account.
func operator(account postern.AccountID) service.Caller {
	return service.Caller{Account: account, Role: postern.Owner, Source: service.SourceServer}
}

// admitted checks which tokens of a credential are good.
func admitted(t *testing.T, w *world, when string, good, bad []postern.Secret) {
	t.Helper()
	for i, token := range good {
		if _, _, err := w.Authenticate(t.Context(), token); err != nil {
			t.Errorf("%s: good token %d: %v", when, i, err)
		}
	}
	for i, token := range bad {
		if _, _, err := w.Authenticate(t.Context(), token); !postern.HasCode(err, postern.CodeTokenInvalid) {
			t.Errorf("%s: bad token %d: %v", when, i, err)
		}
	}
}

type secrets = []postern.Secret

// Two tokens are good while they overlap, also while the store is down and after a
// restart; then the older one is not, whether or not anybody looks.
func TestRotateCredential(t *testing.T) {
	w := newWorld(t)
	c, first := w.bootstrap(t)
	by := operator(c.Account)
	rotated, second, err := w.RotateCredential(t.Context(), by, c.ID, time.Hour)
	if err != nil || second == first || rotated.ID != c.ID || !rotated.Rotation.Until.Equal(w.clock.Now().Add(time.Hour)) {
		t.Fatalf("%+v, %v", rotated.Rotation, err)
	}
	if strings.Split(second.Reveal(), "_")[0] != strings.Split(first.Reveal(), "_")[0] {
		t.Error("the new token does not begin as the old one does")
	}
	both := func(w *world, when string, good, bad secrets) {
		t.Helper()
		admitted(t, w, when, good, bad)
		w.store.down.Store(true)
		admitted(t, w, when+", store down", good, bad)
		w.store.down.Store(false)
	}
	both(w, "overlapping", secrets{first, second}, nil)
	w = w.restart(t)
	both(w, "after a restart", secrets{first, second}, nil)
	w.clock.Advance(time.Hour - time.Microsecond)
	both(w, "in the last moment", secrets{first, second}, nil)
	w.clock.Advance(time.Microsecond)
	both(w, "after the overlap", secrets{second}, secrets{first})

	_, third, err := w.RotateCredential(t.Context(), by, c.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	both(w, "without an overlap", secrets{third}, secrets{first, second})
	_, fourth, err := w.RotateCredential(t.Context(), by, c.ID, service.DefaultOverlap)
	if err != nil {
		t.Fatal(err)
	}
	_, fifth, err := w.RotateCredential(t.Context(), by, c.ID, service.DefaultOverlap)
	if err != nil {
		t.Fatal(err)
	}
	both(w, "twice", secrets{fourth, fifth}, secrets{first, second, third})
	if ended, err := w.EndCredentialOverlap(t.Context(), by, c.ID); err != nil || ended.Rotation.Overlaps(w.clock.Now()) {
		t.Errorf("%+v, %v", ended.Rotation, err)
	}
	both(w, "ended", secrets{fifth}, secrets{third, fourth})
	if _, err := w.EndCredentialOverlap(t.Context(), by, c.ID); err != nil {
		t.Errorf("ending what has ended: %v", err)
	}
	if n := w.count(t, event.CredentialUpdated); n != 6 {
		t.Errorf("%d events", n)
	}
	last := w.outbox(t)[len(w.outbox(t))-1]
	if last.Subject != string(c.ID) || last.Actor.Source != "Server" {
		t.Errorf("%+v", last)
	}
	if err := w.RevokeCredential(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	both(w, "revoked", nil, secrets{fourth, fifth})
	_, _, err = w.RotateCredential(t.Context(), by, c.ID, 0)
	refused(t, err, postern.CodeNotFound)
	w.close()
	for _, token := range []postern.Secret{first, second, fifth} {
		if _, secret, _ := strings.Cut(token.Reveal(), "_"); strings.Contains(w.stored(t), secret) {
			t.Error("a token is in the database")
		}
	}
}

// A look-up that read the credential before its token was replaced neither admits the
// old token after the rotation returned, nor brings it back for when the store is down.
func TestRotationAgainstLookUpsUnderWay(t *testing.T) {
	w := newWorld(t)
	c, first := w.bootstrap(t)
	var second postern.Secret
	rotate := func() {
		var err error
		if _, second, err = w.RotateCredential(t.Context(), operator(c.Account), c.ID, 0); err != nil {
			t.Error(err)
		}
	}
	w.store.afterRead.Store(&rotate)
	_, _, err := w.Authenticate(t.Context(), first)
	refused(t, err, postern.CodeTokenInvalid)
	w.store.down.Store(true)
	admitted(t, w, "store down", secrets{second}, secrets{first})
}

// A clock that is set back does not make an older rotation the newer one.
func TestRotationsWhileTheClockIsSetBack(t *testing.T) {
	w := newWorld(t)
	c, first := w.bootstrap(t)
	by := operator(c.Account)
	_, second, err := w.RotateCredential(t.Context(), by, c.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(-time.Hour)
	_, third, err := w.RotateCredential(t.Context(), by, c.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	admitted(t, w, "set back", secrets{third}, secrets{first, second})
	w.store.down.Store(true)
	admitted(t, w, "store down", secrets{third}, secrets{first, second})
}

func TestRotateAPIKey(t *testing.T) {
	w := newWorld(t)
	made := must[service.Bootstrap](t)(w.Bootstrap(t.Context()))
	caller := must[service.Caller](t)(w.AuthenticateKey(t.Context(), made.APIKey))
	check := func(when string, good, bad secrets) {
		t.Helper()
		for _, key := range good {
			if _, err := w.AuthenticateKey(t.Context(), key); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		for _, key := range bad {
			_, err := w.AuthenticateKey(t.Context(), key)
			refused(t, err, postern.CodeKeyInvalid)
		}
	}
	key, second, err := w.RotateAPIKey(t.Context(), caller, caller.Key, time.Hour)
	if err != nil || key.ID != string(caller.Key) {
		t.Fatalf("%+v, %v", key, err)
	}
	check("overlapping", secrets{made.APIKey, second}, nil)
	w.clock.Advance(time.Hour)
	check("after the overlap", secrets{second}, secrets{made.APIKey})
	_, third, err := w.RotateAPIKey(t.Context(), caller, caller.Key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	check("again", secrets{second, third}, nil)
	if _, err := w.EndAPIKeyOverlap(t.Context(), caller, caller.Key); err != nil {
		t.Fatal(err)
	}
	check("ended", secrets{third}, secrets{second})
	if n := w.count(t, event.APIKeyUpdated); n != 3 {
		t.Errorf("%d events", n)
	}
}

// Who may replace a token: its owner, and administrators of the account.
func TestWhoMayRotate(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	other := w.stranger(t, "other")
	key := postern.APIKeyID("ak_other")
	if err := w.store.Write(t.Context(), func(tx store.Tx) error {
		return tx.APIKeys().Create(t.Context(), store.APIKey{Meta: store.Meta{ID: string(key), Account: c.Account}, Owner: c.Owner})
	}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		by      service.Caller
		overlap time.Duration
		code    postern.Code
	}{
		"nobody":           {service.Caller{}, 0, postern.CodeNotPermitted},
		"another account":  {operator(other.Account), 0, postern.CodeNotFound},
		"a reader":         {service.Caller{Account: c.Account, Principal: c.Owner, Role: postern.ReadOnly}, 0, postern.CodeNotPermitted},
		"a colleague":      {service.Caller{Account: c.Account, Principal: "usr_2", Role: postern.Developer}, 0, postern.CodeOwnerNotPermitted},
		"a negative time":  {operator(c.Account), -1, postern.CodeFieldInvalid},
		"too long":         {operator(c.Account), service.MaxOverlap + 1, postern.CodeFieldInvalid},
		"its owner":        {service.Caller{Account: c.Account, Principal: c.Owner, Role: postern.Developer}, time.Hour, ""},
		"an administrator": {service.Caller{Account: c.Account, Principal: "usr_2", Role: postern.Owner}, time.Hour, ""},
	} {
		_, made, err := w.RotateCredential(t.Context(), test.by, c.ID, test.overlap)
		_, madeKey, keyErr := w.RotateAPIKey(t.Context(), test.by, key, test.overlap)
		for _, err := range []error{err, keyErr} {
			if test.code == "" && err != nil || test.code != "" && !postern.HasCode(err, test.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if (made == "") != (test.code != "") || (madeKey == "") != (test.code != "") {
			t.Errorf("%s: a token %t, a key %t", name, made != "", madeKey != "")
		}
	}
	admin := service.Caller{Account: c.Account, Principal: "usr_2", Role: postern.Admin}
	if _, _, err := w.RotateCredential(t.Context(), admin, c.ID, 0); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	_, _, err := w.RotateAPIKey(t.Context(), admin, key, 0) // would act as an owner
	refused(t, err, postern.CodeOwnerNotPermitted)
	_, _, err = w.RotateCredential(t.Context(), operator(c.Account), "cr_nobody", 0)
	refused(t, err, postern.CodeNotFound)
	w.store.down.Store(true)
	_, _, err = w.RotateCredential(t.Context(), operator(c.Account), c.ID, 0)
	refused(t, err, postern.CodeStoreUnavailable)
}
