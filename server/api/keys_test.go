package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// S1-8: a key is shown once.
func TestAPIKeys(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/api_keys", object{"description": "CI", "metadata": "m"})
	id, token := textOf(made, "id"), textOf(made, "token")
	want := object{
		"id": id, "uri": base + "/api_keys/" + id, "description": "CI", "metadata": "m", "created_at": made["created_at"],
		"token": token, "owner_id": string(w.first.UserID),
	}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(id, "ak_") || !strings.HasPrefix(token, strings.TrimPrefix(id, "ak_")+"_") {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	w.does(200, "GET", "/api_keys?limit=1", nil, header("Authorization", "Bearer "+token))
	want["token"] = nil
	if diff := cmp.Diff(want, w.does(200, "GET", "/api_keys/"+id, nil)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	list := w.does(200, "GET", "/api_keys", nil)
	if got := ids(list, "keys"); !slices.Equal(got, newestFirst(id, string(w.keyID()))) {
		t.Errorf("listed: %v", list)
	}
	if got := ids(w.does(200, "GET", filtered("/api_keys", `obj.owner_id == "`+string(w.first.UserID)+`" && obj.description == "CI"`), nil), "keys"); !slices.Equal(got, []string{id}) {
		t.Errorf("filtered: %v", got)
	}
	if got := w.does(200, "PATCH", "/api_keys/"+id, object{"description": "", "owner_id": w.first.UserID}); got["description"] != "" || got["metadata"] != "m" || got["token"] != nil {
		t.Errorf("changed: %v", got)
	}
	long := strings.Repeat("x", 4097)
	w.refused(400, postern.CodeAPIKeyDescriptionTooLong, "POST", "/api_keys", object{"description": long})
	w.refused(400, postern.CodeAPIKeyMetadataTooLong, "PATCH", "/api_keys/"+id, object{"metadata": long})
	w.refused(400, postern.CodeAPIKeyOwnerFixed, "PATCH", "/api_keys/"+id, object{"owner_id": "bot_x"})
	w.refused(400, postern.CodeFieldUnknown, "POST", "/api_keys", object{"token": "x"})
	w.does(204, "DELETE", "/api_keys/"+id, nil)
	w.refused(404, "", "GET", "/api_keys/"+id, nil)
	w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys", nil, header("Authorization", "Bearer "+token))
	w.told(id, event.APIKeyCreated, event.APIKeyUpdated, event.APIKeyDeleted)
	w.kept(token)
	w.does(204, "DELETE", "/api_keys/"+string(w.keyID()), nil) // also the one that asks
	w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys", nil)
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/credentials", object{"description": "site 1", "metadata": "m", "acl": []string{"bind:*.customer1.example.com"}})
	id, token := textOf(made, "id"), textOf(made, "token")
	want := object{
		"id": id, "uri": base + "/credentials/" + id, "description": "site 1", "metadata": "m", "created_at": made["created_at"],
		"token": token, "acl": []any{"bind:*.customer1.example.com"}, "owner_id": string(w.first.UserID),
	}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(id, "cr_") {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	w.agent(token, "")
	want["token"] = nil
	if diff := cmp.Diff(want, w.does(200, "GET", "/credentials/"+id, nil)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	if got := ids(w.does(200, "GET", "/credentials", nil), "credentials"); len(got) != 2 || !slices.Contains(got, id) {
		t.Errorf("listed: %v", got)
	}
	if got := ids(w.does(200, "GET", filtered("/credentials", `"bind:*.customer1.example.com" in obj.acl`), nil), "credentials"); !slices.Equal(got, []string{id}) {
		t.Errorf("filtered: %v", got)
	}
	w.refused(400, postern.CodeACLInvalid, "POST", "/credentials", object{"acl": []string{"deny:*"}})
	w.refused(400, postern.CodeACLInvalid, "PATCH", "/credentials/"+id, object{"acl": []string{"bind:*", "nonsense"}})
	w.refused(400, postern.CodeTokenPrecomputed, "POST", "/credentials", object{"precomputed_token": "hunter2"})
	w.refused(400, postern.CodeOwnerUnknown, "POST", "/credentials", object{"scim_user_id": "x"})
	w.refused(400, postern.CodeCredentialUnchanged, "PATCH", "/credentials/"+id, object{})
	w.refused(400, postern.CodeCredentialOwnerFixed, "PATCH", "/credentials/"+id, object{"owner_id": "bot_x"})
	w.refused(400, postern.CodeFieldInvalid, "PATCH", "/credentials/"+id, object{"description": strings.Repeat("x", 256)})
	if got := w.does(200, "PATCH", "/credentials/"+id, object{"description": ""}); got["description"] != "" || len(got["acl"].([]any)) != 1 { //nolint:forcetypeassert // a test
		t.Errorf("the ACL did not stay: %v", got)
	}
	// An empty list lifts every limit, which leaves a trace of its own.
	if got := w.does(200, "PATCH", "/credentials/"+id, object{"acl": []string{}}); len(got["acl"].([]any)) != 0 { //nolint:forcetypeassert // a test
		t.Errorf("unrestricted: %v", got)
	}
	if known, ok := w.service.KnownCredential(postern.CredentialID(id)); !ok || len(known.ACL) != 0 {
		t.Errorf("binds obey %+v", known)
	}
	w.does(200, "PATCH", "/credentials/"+id, object{"acl": []string{"*"}}) // no wider than before
	w.does(204, "DELETE", "/credentials/"+id, nil)
	w.agent(token, postern.CodeTokenInvalid)
	for _, method := range []string{"GET", "DELETE"} {
		w.refused(404, "", method, "/credentials/"+id, nil)
	}
	w.refused(404, "", "PATCH", "/credentials/"+id, object{"description": "x"})
	w.refused(404, "", "POST", "/credentials/"+id+"/rotate", object{})
	w.told(id, event.CredentialCreated, event.CredentialUpdated, event.CredentialUnrestricted, event.CredentialUpdated,
		event.CredentialUpdated, event.CredentialRevoked)
	w.kept(token)
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/api_keys", "/credentials"} {
		made := w.does(201, "POST", path, object{"description": "x"})
		id, first := textOf(made, "id"), textOf(made, "token")
		good := func(token string, want bool) {
			t.Helper()
			var err error
			if path == "/api_keys" {
				_, err = w.service.AuthenticateKey(t.Context(), postern.Secret(token))
			} else {
				_, _, err = w.service.Authenticate(t.Context(), postern.Secret(token))
			}
			if (err == nil) != want {
				t.Errorf("%s: a token is good: %v, want %v", path, err, want)
			}
		}
		rotated := w.does(200, "POST", path+"/"+id+"/rotate", object{"overlap": "1h"})
		second := textOf(rotated, "token")
		made["token"] = second
		if diff := cmp.Diff(made, rotated); diff != "" || second == first {
			t.Errorf("%s rotated (-want +got):\n%s", path, diff)
		}
		good(first, true)
		good(second, true)
		third := textOf(w.does(200, "POST", path+"/"+id+"/rotate", object{"overlap": "0s"}), "token")
		good(first, false)
		good(second, false)
		good(third, true)
		w.does(200, "POST", path+"/"+id+"/rotate", object{}) // a day by default
		good(third, true)
		for _, overlap := range []any{"soon", "-1h", "3000h"} {
			w.refused(400, postern.CodeFieldInvalid, "POST", path+"/"+id+"/rotate", object{"overlap": overlap})
		}
	}
}

func TestKeysAreLimited(t *testing.T) {
	w := newWorldOf(t, func(c *service.Config) { c.MaxKeys = 2 })
	for path, code := range map[string]postern.Code{"/api_keys": postern.CodeAPIKeyLimit, "/credentials": postern.CodeCredentialLimit} {
		id := textOf(w.does(201, "POST", path, object{}), "id") // beside bootstrap's
		w.refused(400, code, "POST", path, object{})
		w.does(204, "DELETE", path+"/"+id, nil)
		w.does(201, "POST", path, object{})
	}
}

// agent wants a token to be good, or refused with a code.
func (w *world) agent(token string, code postern.Code) {
	w.t.Helper()
	_, _, err := w.service.Authenticate(w.t.Context(), postern.Secret(token))
	if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
		w.t.Errorf("an agent: %v, want %q", err, code)
	}
}

// kept wants a token's secret half to be in no event.
func (w *world) kept(token string) {
	w.t.Helper()
	_, secret, _ := strings.Cut(token, "_")
	for _, e := range w.events() {
		if strings.Contains(string(e.Object), secret) {
			w.t.Errorf("event %s has a token: %s", e.Type, e.Object)
		}
	}
}

// Wrong keys from one address are heard so often and no more; whoever had a right one
// lately is not shut out, nor is anybody elsewhere.
func TestWrongKeysAreThrottled(t *testing.T) {
	now := &clock{now: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
	w := newWorld(t, func(c *api.Config) { c.WrongKeys, c.Now = func() int { return 3 }, now.read })
	from, elsewhere := remote("[2001:db8::1]:1"), remote("[2001:db8:0:1::1]:1")
	second := w.does(201, "POST", "/api_keys", object{}, from)
	wrong := header("Authorization", "Bearer "+strings.Repeat("0", 27)+"_"+strings.Repeat("0", 21))
	for range 3 {
		w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys", nil, from, wrong)
	}
	w.refused(429, postern.CodeTooManyRequests, "GET", "/api_keys", nil, from, wrong)
	neighbour := remote("[2001:db8::2]:1") // of the same /64
	asSecond := header("Authorization", "Bearer "+textOf(second, "token"))
	w.refused(429, postern.CodeTooManyRequests, "GET", "/api_keys", nil, neighbour, asSecond)
	if after := w.send("GET", "/api_keys", nil, from, wrong).Header.Get("Retry-After"); after != "20" {
		t.Errorf("Retry-After is %q", after)
	}
	w.does(200, "GET", "/api_keys", nil, from) // a right one, lately
	w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys", nil, elsewhere, wrong)
	now.now = now.now.Add(20 * time.Second)
	w.does(200, "GET", "/api_keys", nil, neighbour, asSecond)
	w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys", nil, from, wrong)
	w.refused(429, postern.CodeTooManyRequests, "GET", "/api_keys", nil, from, wrong)
}

// remote sets where a request comes from.
func remote(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
