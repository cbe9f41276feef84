package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// as makes a person with a role, and gives the edit that has requests carry their key.
func (w *world) as(role postern.Role) (postern.UserID, func(*http.Request)) {
	w.t.Helper()
	person := store.User{
		Meta: store.Meta{ID: "usr_" + strings.Repeat("0", 27-len(role)) + strings.ReplaceAll(string(role), "_", "0"), Account: w.first.AccountID},
		Name: string(role), Kind: store.Person, Role: role, Active: true, Email: string(role) + "@example.com",
	}
	if err := w.store.Write(w.t.Context(), func(tx store.Tx) error { return tx.Users().Create(w.t.Context(), person) }); err != nil {
		w.t.Fatal(err)
	}
	id := postern.UserID(person.ID)
	_, key, err := w.service.CreateAPIKey(w.t.Context(), service.Caller{Account: w.first.AccountID, Role: postern.Owner}, service.NewAPIKey{Owner: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return id, header("Authorization", "Bearer "+key.Reveal())
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// An API key without rights, at every route.
func TestReadersChangeNothing(t *testing.T) {
	w := newWorld(t)
	_, as := w.as(postern.ReadOnly)
	handler, _ := w.handler.(*api.API)
	before := len(w.events())
	looked := 0
	for _, pattern := range handler.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		path = placeholder.ReplaceAllString(path, "1")
		if method == http.MethodGet {
			looked++
			if got := w.send(method, path, nil, as); got.StatusCode != http.StatusOK && got.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %s", pattern, got.StatusCode, got.text)
			}
			continue
		}
		body := any(object{})
		if method == http.MethodDelete {
			body = nil
		}
		w.refused(403, postern.CodeOwnerReadOnly, method, path, body, as)
	}
	if looked < len(resource.Table()) {
		t.Errorf("a reader looked at %d routes only", looked)
	}
	if n := len(w.events()); n != before {
		t.Errorf("%d events came of a reader", n-before)
	}
}

// Whoever is of another account finds nothing of this one, in any collection.
func TestStrangersKeysFindNothing(t *testing.T) {
	w := newWorld(t)
	stranger := w.stranger()
	for _, d := range resource.Table() {
		if d.Operations.Has(resource.List) {
			if list := stranger.does(200, "GET", d.Path(), nil); len(ids(list, d.ListKey)) > 1 { // their own key
				t.Errorf("%s: %v", d.Path(), list)
			}
		}
	}
	for path, id := range map[string]string{
		"/api_keys/": textOf(w.does(201, "POST", "/api_keys", object{}), "id"), "/credentials/": textOf(w.does(201, "POST", "/credentials", object{}), "id"),
		"/bot_users/": textOf(w.does(201, "POST", "/bot_users", object{"name": "a"}), "id"),
	} {
		stranger.refused(404, "", "GET", path+id, nil)
		stranger.refused(404, "", "DELETE", path+id, nil)
		if path == "/bot_users/" {
			stranger.refused(404, "", "PATCH", path+id, object{"name": "x"})
			continue
		}
		stranger.refused(404, "", "PATCH", path+id, object{"description": "x"})
		stranger.refused(404, "", "POST", path+id+"/rotate", object{})
	}
}

// Developers work with what is theirs; what is others' needs an administrator, and nobody
// comes to act for somebody who may do more.
func TestWhoseKeys(t *testing.T) {
	w := newWorld(t)
	developer, asDeveloper := w.as(postern.Developer)
	admin, asAdmin := w.as(postern.Admin)
	for _, path := range []string{"/api_keys", "/credentials"} {
		own := w.does(201, "POST", path, object{}, asDeveloper)
		if own["owner_id"] != string(developer) {
			t.Errorf("%s: made for %v", path, own["owner_id"])
		}
		named := w.does(201, "POST", path, object{"owner_id": developer}, asDeveloper)
		byEmail := w.does(201, "POST", path, object{"owner_email": "Developer@example.com"}, asAdmin)
		if byEmail["owner_id"] != string(developer) {
			t.Errorf("%s by email: %v", path, byEmail)
		}
		w.does(201, "POST", path, object{"owner_id": "developer@example.com"}, asAdmin)
		w.does(204, "DELETE", path+"/"+textOf(named, "id"), nil, asDeveloper)

		others := path + "/" + textOf(w.does(201, "POST", path, object{}), "id")
		for method, body := range map[string]any{"PATCH": object{"description": "x"}, "DELETE": nil} {
			w.refused(403, postern.CodeOwnerNotPermitted, method, others, body, asDeveloper)
		}
		w.refused(403, postern.CodeOwnerNotPermitted, "POST", others+"/rotate", object{}, asDeveloper)
		w.refused(403, postern.CodeOwnerNotPermitted, "POST", path, object{"owner_id": admin}, asDeveloper)
		w.does(200, "PATCH", path+"/"+textOf(own, "id"), object{"description": "x"}, asAdmin)
		w.does(200, "POST", path+"/"+textOf(own, "id")+"/rotate", object{}, asAdmin)

		w.refused(400, postern.CodeOwnerUnknown, "POST", path, object{"owner_id": "usr_nobody"})
		w.refused(400, postern.CodeOwnerUnknown, "POST", path, object{"owner_email": "nobody@example.com"})
		w.refused(400, postern.CodeOwnerUnknown, "POST", path, object{"owner_id": string(w.stranger().first.UserID)})
		w.refused(400, postern.CodeOwnerAmbiguous, "POST", path, object{"owner_id": developer, "owner_email": "developer@example.com"})
	}
	w.refused(403, postern.CodeOwnerNotPermitted, "POST", "/api_keys", object{"owner_id": w.first.UserID}, asAdmin)
	w.refused(403, postern.CodeOwnerNotPermitted, "POST", "/api_keys/"+string(w.keyID())+"/rotate", object{}, asAdmin)
	w.does(201, "POST", "/credentials", object{"owner_id": w.first.UserID}, asAdmin) // lets agents in, no callers
	w.refused(403, postern.CodeNotPermitted, "POST", "/bot_users", object{"name": "x"}, asDeveloper)
	w.does(201, "POST", "/bot_users", object{"name": "x"}, asAdmin)
}

// keyID is the id of the first key.
func (w *world) keyID() postern.APIKeyID {
	unique, _, _ := strings.Cut(w.key, "_")
	return postern.APIKeyID("ak_" + unique)
}

// Keys of a service user have a developer's role.
func TestServiceUsersAreDevelopers(t *testing.T) {
	w := newWorld(t)
	bot := textOf(w.does(201, "POST", "/bot_users", object{"name": "bot"}), "id")
	as := header("Authorization", "Bearer "+textOf(w.does(201, "POST", "/api_keys", object{"owner_id": bot}), "token"))
	if made := w.does(201, "POST", "/credentials", object{}, as); made["owner_id"] != bot {
		t.Errorf("made %v", made)
	}
	w.refused(403, postern.CodeNotPermitted, "PATCH", "/bot_users/"+bot, object{"name": "x"}, as)
	if !slices.Contains(ids(w.does(200, "GET", "/bot_users", nil, as), "bot_users"), bot) {
		t.Error("it does not see itself")
	}
}
