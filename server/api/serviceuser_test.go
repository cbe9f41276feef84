package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// S1-21, S1-22.
func TestServiceUsers(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/bot_users", object{"name": "gateway of customer 1"})
	id := textOf(made, "id")
	want := object{"id": id, "uri": base + "/bot_users/" + id, "name": "gateway of customer 1", "active": true, "created_at": made["created_at"]}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(id, "bot_") || len(id) != 4+27 {
		t.Errorf("made %q (-want +got):\n%s", id, diff)
	}
	service := "service" + strings.TrimPrefix(id, "bot")
	for _, path := range []string{"/bot_users/" + id, "/bot_users/" + service, "/service_users/" + id, "/service_users/" + service} {
		if got := w.does(200, "GET", path, nil); got["id"] != id || !strings.HasPrefix(path, strings.TrimSuffix(strings.TrimPrefix(textOf(got, "uri"), base), id)) {
			t.Errorf("%s: %v", path, got)
		}
	}
	second := textOf(w.does(201, "POST", "/service_users", object{"name": "other", "active": false}), "id")
	for path, key := range map[string]string{"/bot_users": "bot_users", "/service_users": "service_users"} {
		if list := w.does(200, "GET", path, nil); !slices.Equal(ids(list, key), newestFirst(id, second)) {
			t.Errorf("%s: %v", path, list)
		}
		if list := w.does(200, "GET", path+"?before_id="+slices.Max([]string{id, second}), nil); len(ids(list, key)) != 1 {
			t.Errorf("behind the newest of %s: %v", path, list)
		}
		if list := w.does(200, "GET", filtered(path, `obj.active && obj.name.startsWith("gateway")`), nil); !slices.Equal(ids(list, key), []string{id}) {
			t.Errorf("filtered: %v", list)
		}
	}
	for code, body := range map[postern.Code]object{
		postern.CodeServiceUserNameMissing: {"active": true},
		postern.CodeServiceUserNameTooLong: {"name": strings.Repeat("x", 256)},
		postern.CodeServiceUserNameTaken:   {"name": "other"},
		postern.CodeFieldInvalid:           {"name": "a\x00"},
		postern.CodeFieldUnknown:           {"name": "a", "role": "owner"},
	} {
		w.refused(400, code, "POST", "/bot_users", body)
	}
	w.refused(400, postern.CodeServiceUserNameMissing, "PATCH", "/bot_users/"+id, object{"name": " "})
	w.refused(400, postern.CodeServiceUserNameTaken, "PATCH", "/bot_users/"+id, object{"name": "other"})
	if got := w.does(200, "PATCH", "/bot_users/"+id, object{"name": "renamed"}); got["name"] != "renamed" || got["active"] != true {
		t.Errorf("renamed: %v", got)
	}
	w.does(204, "DELETE", "/bot_users/"+id, nil)
	w.refused(404, "", "GET", "/bot_users/"+id, nil)
	w.refused(404, "", "PATCH", "/service_users/"+id, object{"name": "x"})
	w.refused(404, "", "DELETE", "/bot_users/"+id, nil)
	w.does(201, "POST", "/bot_users", object{"name": "renamed"}) // the name is free again
	w.refused(404, "", "GET", "/bot_users/"+strings.Replace(string(w.first.UserID), "usr_", "bot_", 1), nil)
	w.told(id, event.ServiceUserCreated, event.ServiceUserUpdated, event.ServiceUserDeleted)
}

// What a service user owns is good as long as it is active, and ends with it.
func TestServiceUsersKeys(t *testing.T) {
	w := newWorld(t)
	bot := textOf(w.does(201, "POST", "/bot_users", object{"name": "bot"}), "id")
	key := w.does(201, "POST", "/api_keys", object{"owner_id": "service" + strings.TrimPrefix(bot, "bot")})
	authtoken := w.does(201, "POST", "/credentials", object{"owner_id": bot, "acl": []string{"bind:*.customer1.example.com"}})
	if key["owner_id"] != bot || authtoken["owner_id"] != bot {
		t.Fatalf("made %v and %v for %s", key, authtoken, bot)
	}
	as := header("Authorization", "Bearer "+textOf(key, "token"))
	login := func(code postern.Code) {
		t.Helper()
		_, _, err := w.service.Authenticate(t.Context(), postern.Secret(textOf(authtoken, "token")))
		if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
			t.Errorf("an agent: %v, want %q", err, code)
		}
	}
	w.does(200, "GET", "/api_keys?limit=1", nil, as) // what ngrok's Kubernetes operator asks first
	login("")
	w.does(200, "PATCH", "/service_users/"+bot, object{"active": false})
	w.refused(403, postern.CodeOwnerInactive, "GET", "/api_keys?limit=1", nil, as)
	login(postern.CodeOwnerInactive)
	w.refused(403, postern.CodeOwnerInactive, "POST", "/api_keys", object{"owner_id": bot})
	w.refused(403, postern.CodeOwnerInactive, "POST", "/credentials", object{"owner_id": bot})
	w.does(200, "PATCH", "/bot_users/"+bot, object{"active": true})
	w.does(200, "GET", "/api_keys?limit=1", nil, as)
	login("")

	w.does(204, "DELETE", "/bot_users/"+bot, nil)
	w.refused(403, postern.CodeKeyInvalid, "GET", "/api_keys?limit=1", nil, as)
	login(postern.CodeTokenInvalid)
	w.refused(404, "", "GET", "/credentials/"+textOf(authtoken, "id"), nil)
	w.refused(404, "", "GET", "/api_keys/"+textOf(key, "id"), nil)
	w.refused(400, postern.CodeOwnerUnknown, "POST", "/api_keys", object{"owner_id": bot})
	w.told(textOf(key, "id"), event.APIKeyCreated, event.APIKeyDeleted)
	w.told(textOf(authtoken, "id"), event.CredentialCreated, event.CredentialRevoked)
}

// told wants the events about a subject, each by the first key's user.
func (w *world) told(subject string, want ...postern.EventType) {
	w.t.Helper()
	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject != subject {
			continue
		}
		kinds = append(kinds, e.Type)
		if e.Actor.ID != string(w.first.UserID) || e.Actor.Source != "API" || e.Actor.Key == "" {
			w.t.Errorf("event %s of %s by %+v", e.Type, subject, e.Actor)
		}
	}
	if !slices.Equal(kinds, want) {
		w.t.Errorf("events of %s are %v, want %v", subject, kinds, want)
	}
}

func textOf(o object, key string) string {
	text, _ := o[key].(string)
	return text
}

func newestFirst(ids ...string) []string {
	return slices.SortedFunc(slices.Values(ids), func(a, b string) int { return strings.Compare(b, a) })
}
