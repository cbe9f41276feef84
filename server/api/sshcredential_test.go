package api_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// publicKey is a line of an authorized_keys file, another one for each n.
func publicKey(t *testing.T, n byte) string {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func TestSSHCredentials(t *testing.T) {
	w := newWorld(t)
	line := publicKey(t, 1) + " ann@laptop"
	made := w.does(201, "POST", "/ssh_credentials", object{"public_key": line + "\n", "description": "laptop", "acl": []string{"bind:*.example.com"}})
	id := textOf(made, "id")
	want := object{
		"id": id, "uri": base + "/ssh_credentials/" + id, "created_at": made["created_at"], "description": "laptop", "metadata": "",
		"public_key": line, "acl": []any{"bind:*.example.com"}, "owner_id": string(w.first.UserID),
	}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(id, "sshcr_") {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.does(200, "GET", "/ssh_credentials/"+id, nil)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	for body, code := range map[string]postern.Code{
		"":                                       postern.CodePublicKeyMissing,
		" \n":                                    postern.CodePublicKeyMissing,
		"ssh-ed25519 AAAA":                       postern.CodePublicKeyInvalid,
		"hello":                                  postern.CodePublicKeyInvalid,
		"-----BEGIN OPENSSH PRIVATE KEY---":      postern.CodePublicKeyInvalid,
		"no-pty " + publicKey(t, 2):              postern.CodePublicKeyInvalid,
		publicKey(t, 2) + "\n" + publicKey(t, 3): postern.CodePublicKeyInvalid,
		publicKey(t, 1) + " of others":           postern.CodeSSHCredentialYours,
	} {
		w.refused(400, code, "POST", "/ssh_credentials", object{"public_key": body})
	}
	w.refused(400, postern.CodePublicKeyMissing, "POST", "/ssh_credentials", object{})
	w.refused(400, postern.CodeACLInvalid, "POST", "/ssh_credentials", object{"public_key": publicKey(t, 2), "acl": []string{"x"}})
	w.stranger().refused(400, postern.CodeSSHCredentialTaken, "POST", "/ssh_credentials", object{"public_key": publicKey(t, 1)})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", "/ssh_credentials/"+id, object{"public_key": publicKey(t, 2)})
	w.refused(400, postern.CodeSSHCredentialOwnerFixed, "PATCH", "/ssh_credentials/"+id, object{"owner_id": "bot_1"})
	if got := w.does(200, "PATCH", "/ssh_credentials/"+id, object{"acl": []string{}, "metadata": "m"}); len(got["acl"].([]any)) != 0 || got["metadata"] != "m" { //nolint:forcetypeassert // a test
		t.Errorf("changed: %v", got)
	}
	_, asDeveloper := w.as(postern.Developer)
	w.refused(403, postern.CodeOwnerNotPermitted, "DELETE", "/ssh_credentials/"+id, nil, asDeveloper)
	w.does(204, "DELETE", "/ssh_credentials/"+id, nil)
	w.refused(404, "", "GET", "/ssh_credentials/"+id, nil)
	w.told(id, event.SSHCredentialCreated, event.SSHCredentialUpdated, event.SSHCredentialDeleted)

	bot := textOf(w.does(201, "POST", "/bot_users", object{"name": "bot"}), "id")
	key := textOf(w.does(201, "POST", "/ssh_credentials", object{"public_key": publicKey(t, 1), "owner_id": bot}), "id")
	w.does(204, "DELETE", "/bot_users/"+bot, nil)
	w.refused(404, "", "GET", "/ssh_credentials/"+key, nil)
}

func TestSelf(t *testing.T) {
	w := newWorld(t)
	self := w.does(200, "GET", "/self", nil)
	if keysOf(self) != "account api_key user" || keysOf(at(self, "account")) != "created_at id name" || keysOf(at(self, "user")) != "created_at email id name role" {
		t.Errorf("keys of %v", self)
	}
	if textOf(at(self, "account"), "id") != string(w.first.AccountID) || textOf(at(self, "user"), "id") != string(w.first.UserID) ||
		textOf(at(self, "user"), "role") != "owner" || textOf(at(self, "api_key"), "id") != string(w.keyID()) || at(self, "api_key")["token"] != nil {
		t.Errorf("self is %v", self)
	}
	id, as := w.as(postern.ReadOnly)
	if self := w.does(200, "GET", "/self", nil, as); textOf(at(self, "user"), "id") != string(id) || textOf(at(self, "user"), "role") != "read_only" {
		t.Errorf("a reader is %v", self)
	}
	w.refused(400, postern.CodeParameterUnknown, "GET", "/self?limit=1", nil)
}

// Nothing makes application users through the API; what the store has of them is shown.
func TestApplicationUsers(t *testing.T) {
	w := newWorld(t)
	at2031 := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	user, session := ksuidLike("appusr", 1), ksuidLike("appsess", 1)
	meta := func(id string) store.Meta {
		return store.Meta{ID: id, Account: w.first.AccountID, CreatedAt: at2031, UpdatedAt: at2031}
	}
	err := w.store.Write(t.Context(), func(tx store.Tx) error {
		if err := tx.ApplicationUsers().Create(t.Context(), store.ApplicationUser{
			Meta: meta(user), Provider: "google", ProviderURL: "https://accounts.google.com", ProviderUserID: "7",
			Username: "ann", Email: "ann@example.com", Name: "Ann", LastActive: at2031, LastLogin: at2031,
		}); err != nil {
			return err
		}
		return tx.ApplicationSessions().Create(t.Context(), store.ApplicationSession{
			Meta: meta(session), User: user, PublicURL: "https://a.example.com", Endpoint: "ep_1", LastActive: at2031, ExpiresAt: at2031,
			Browser: store.Browser{Raw: "Mozilla/5.0", Name: "Firefox", Address: "2001:db8::1", Location: &store.Location{Country: "PT", Latitude: 38.5, Radius: 10}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	const when = "2031-02-03T04:05:06Z"
	want := object{
		"id": user, "uri": base + "/app/users/" + user, "created_at": when, "provider_user_id": "7", "username": "ann", "email": "ann@example.com",
		"name": "Ann", "last_active": when, "last_login": when, "identity_provider": object{"name": "google", "url": "https://accounts.google.com"},
	}
	if diff := cmp.Diff(want, w.does(200, "GET", "/app/users/"+user, nil)); diff != "" {
		t.Errorf("the user (-want +got):\n%s", diff)
	}
	want = object{
		"id": session, "uri": base + "/app/sessions/" + session, "created_at": when, "public_url": "https://a.example.com", "last_active": when, "expires_at": when,
		"application_user": object{"id": user, "uri": base + "/app/users/" + user}, "endpoint": object{"id": "ep_1", "uri": base + "/endpoints/ep_1"},
		"browser_session": object{
			"ip_address": "2001:db8::1", "location": object{"country_code": "PT", "latitude": 38.5, "longitude": 0.0, "lat_long_radius_km": 10.0},
			"user_agent": object{"raw": "Mozilla/5.0", "browser_name": "Firefox", "browser_version": "", "device_type": "", "os_name": "", "os_version": ""},
		},
	}
	if diff := cmp.Diff(want, w.does(200, "GET", "/app/sessions/"+session, nil)); diff != "" {
		t.Errorf("the session (-want +got):\n%s", diff)
	}
	if got := ids(w.does(200, "GET", "/app/users", nil), "application_users"); !slices.Equal(got, []string{user}) {
		t.Errorf("users: %v", got)
	}
	if got := ids(w.does(200, "GET", filtered("/app/sessions", `obj.application_user.id == "`+user+`"`), nil), "application_sessions"); !slices.Equal(got, []string{session}) {
		t.Errorf("sessions: %v", got)
	}
	w.refused(404, "", "POST", "/app/users", object{})
	w.stranger().refused(404, "", "DELETE", "/app/users/"+user, nil)
	w.does(204, "DELETE", "/app/users/"+user, nil)
	w.refused(404, "", "GET", "/app/sessions/"+session, nil)
	w.told(user, event.ApplicationUserDeleted)
}
