package api_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// keys are those of an object, sorted.
func keys(o object) string { return strings.Join(slices.Sorted(maps.Keys(o)), " ") }

// happened are the types of the events about a resource, oldest first.
func (w *world) happened(id any) []postern.EventType {
	w.t.Helper()
	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject == id {
			kinds = append(kinds, e.Type)
		}
	}
	return kinds
}

// text is a member of an object that is a string.
func text(o object, name string) string {
	value, _ := o[name].(string)
	return value
}

func TestVaults(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/vaults", object{"name": "prod/db-1_a.b", "description": "d", "metadata": "m"})
	id, owner := text(made, "id"), string(w.first.UserID)
	if keys(made) != "created_at created_by description id last_updated_by metadata name updated_at uri" || !strings.HasPrefix(id, "vault_") ||
		made["uri"] != base+"/vaults/"+id || made["created_by"] != owner || made["last_updated_by"] != owner {
		t.Errorf("made %v", made)
	}
	changed := w.does(200, "PATCH", "/vaults/"+id, object{"name": "prod"})
	if changed["name"] != "prod" || changed["description"] != "d" {
		t.Errorf("changed %v", changed)
	}
	w.does(200, "PATCH", "/vaults/"+id, object{"name": "prod", "metadata": ""}) // its own name is not taken
	w.does(200, "PATCH", "/vaults/"+id, object{})
	if list := w.does(200, "GET", filtered("/vaults", `obj.name.startsWith("pr") && obj.created_by == "`+owner+`"`), nil); !slices.Equal(ids(list, "vaults"), []string{id}) {
		t.Errorf("filtered %v", list)
	}
	other := text(w.does(201, "POST", "/vaults", object{"name": "other"}), "id")
	for _, c := range []struct {
		code         postern.Code
		method, path string
		body         object
	}{
		{postern.CodeVaultNameMissing, "POST", "/vaults", object{}},
		{postern.CodeVaultNameMissing, "POST", "/vaults", object{"name": ""}},
		{postern.CodeVaultNameMissing, "PATCH", "/vaults/" + id, object{"name": ""}},
		{postern.CodeVaultNameInvalid, "POST", "/vaults", object{"name": "a b"}},
		{postern.CodeVaultNameInvalid, "POST", "/vaults", object{"name": "ü"}},
		{postern.CodeVaultNameInvalid, "POST", "/vaults", object{"name": "a\x00"}},
		{postern.CodeVaultNameInvalid, "POST", "/vaults", object{"name": strings.Repeat("x", 256)}},
		{postern.CodeVaultNameTaken, "POST", "/vaults", object{"name": "prod"}},
		{postern.CodeVaultNameTaken, "PATCH", "/vaults/" + other, object{"name": "prod"}},
		{postern.CodeFieldInvalid, "POST", "/vaults", object{"name": "x", "description": strings.Repeat("x", 256)}},
		{postern.CodeFieldUnknown, "POST", "/vaults", object{"name": "x", "created_by": "usr_1"}},
	} {
		w.refused(400, c.code, c.method, c.path, c.body)
	}
	w.does(201, "POST", "/vaults", object{"name": strings.Repeat("x", 255)})
	secret := text(w.does(201, "POST", "/vault_secrets", object{"name": "s", "value": "v", "vault_id": id}), "id")
	w.refused(400, postern.CodeVaultNotEmpty, "DELETE", "/vaults/"+id, nil)
	w.does(204, "DELETE", "/vault_secrets/"+secret, nil)
	w.does(204, "DELETE", "/vaults/"+id, nil)
	w.refused(404, "", "GET", "/vaults/"+id, nil)
	want := []postern.EventType{event.VaultCreated, event.VaultUpdated, event.VaultUpdated, event.VaultUpdated, event.VaultDeleted}
	if got := w.happened(id); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestVaultSecrets(t *testing.T) {
	w := newWorld(t)
	const value = "correct horse battery staple"
	vault := text(w.does(201, "POST", "/vaults", object{"name": "prod"}), "id")
	second := text(w.does(201, "POST", "/vaults", object{"name": "test"}), "id")
	got := w.send("POST", "/vault_secrets", object{"name": "db/pass-word", "value": value, "vault_id": vault, "description": "d", "metadata": "m"})
	made, id, owner := got.body, text(got.body, "id"), string(w.first.UserID)
	if got.StatusCode != 201 || strings.Contains(got.text, value) {
		t.Fatalf("%d: %s", got.StatusCode, got.text)
	}
	if keys(made) != "created_at created_by description id last_updated_by metadata name updated_at uri vault vault_name" || !strings.HasPrefix(id, "secret_") ||
		made["uri"] != base+"/vault_secrets/"+id || made["vault_name"] != "prod" {
		t.Errorf("made %v", made)
	}
	for name, want := range map[string]object{
		"created_by": {"id": owner, "uri": ""}, "last_updated_by": {"id": owner, "uri": ""}, "vault": {"id": vault, "uri": base + "/vaults/" + vault},
	} {
		if have, _ := made[name].(object); !maps.Equal(have, want) {
			t.Errorf("%s is %v, want %v", name, made[name], want)
		}
	}
	byName := w.does(201, "POST", "/vault_secrets", object{"name": "other", "value": "v", "vault_name": "prod"})
	elsewhere := w.does(201, "POST", "/vault_secrets", object{"name": "other", "value": "v", "vault_name": "test", "vault_id": second})
	for path, want := range map[string][]string{
		"/vaults/" + vault + "/secrets":                                       {text(byName, "id"), id},
		"/vaults/" + second + "/secrets":                                      {text(elsewhere, "id")},
		"/vault_secrets":                                                      {text(elsewhere, "id"), text(byName, "id"), id},
		filtered("/vault_secrets", `obj.name == "db/pass-word"`):              {id},
		filtered("/vault_secrets", `obj.vault.id == "`+second+`"`):            {text(elsewhere, "id")},
		filtered("/vaults/"+vault+"/secrets", `obj.name.startsWith("other")`): {text(byName, "id")},
	} {
		if have := ids(w.does(200, "GET", path, nil), "secrets"); !sameSet(have, want) {
			t.Errorf("%s has %v, want %v", path, have, want)
		}
	}
	page := w.does(200, "GET", "/vaults/"+vault+"/secrets?limit=1", nil)
	next := text(page, "next_page_uri")
	if !strings.HasPrefix(next, base+"/vaults/"+vault+"/secrets?") || page["uri"] != base+"/vaults/"+vault+"/secrets" {
		t.Fatalf("page %v", page)
	}
	if rest := w.does(200, "GET", next, nil); len(ids(rest, "secrets")) != 1 || rest["next_page_uri"] != nil || ids(rest, "secrets")[0] == ids(page, "secrets")[0] {
		t.Errorf("after %v came %v", page, rest)
	}
	w.opens("prod", "db/pass-word", value)
	w.does(200, "PATCH", "/vault_secrets/"+id, object{"description": ""})
	w.opens("prod", "db/pass-word", value)
	changed := w.does(200, "PATCH", "/vault_secrets/"+id, object{"name": "password", "value": "Tr0ub4dor&3"})
	w.opens("prod", "password", "Tr0ub4dor&3")
	if changed["name"] != "password" || changed["description"] != "" || changed["metadata"] != "m" {
		t.Errorf("changed %v", changed)
	}
	w.does(204, "DELETE", "/vault_secrets/"+id, nil)
	w.refused(404, "", "GET", "/vault_secrets/"+id, nil)
	want := []postern.EventType{event.SecretCreated, event.SecretUpdated, event.SecretUpdated, event.SecretDeleted}
	if have := w.happened(id); !slices.Equal(have, want) {
		t.Errorf("events %v, want %v", have, want)
	}
}

// opens sees that what uses a secret gets its value.
func (w *world) opens(vault, name, want string) {
	w.t.Helper()
	value, err := w.service.SecretValue(w.t.Context(), w.first.AccountID, vault, name)
	if err != nil || value.Reveal() != want {
		w.t.Errorf("%s/%s: %q, %v", vault, name, value.Reveal(), err)
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestVaultSecretsAreChecked(t *testing.T) {
	w := newWorld(t)
	vault := text(w.does(201, "POST", "/vaults", object{"name": "prod"}), "id")
	w.does(201, "POST", "/vaults", object{"name": "test"})
	id := text(w.does(201, "POST", "/vault_secrets", object{"name": "a", "value": "v", "vault_id": vault}), "id")
	w.does(201, "POST", "/vault_secrets", object{"name": "b", "value": strings.Repeat("x", 65536), "vault_id": vault})
	w.does(201, "POST", "/vault_secrets", object{"name": "binary", "value": "\x00\x01\n", "vault_id": vault})
	w.opens("prod", "binary", "\x00\x01\n")
	for _, c := range []struct {
		status       int
		code         postern.Code
		method, path string
		body         object
	}{
		{400, postern.CodeSecretNameMissing, "POST", "", object{"value": "v", "vault_id": vault}},
		{400, postern.CodeSecretNameMissing, "PATCH", "/" + id, object{"name": ""}},
		{400, postern.CodeSecretNameInvalid, "POST", "", object{"name": "a:b", "value": "v", "vault_id": vault}},
		{400, postern.CodeSecretNameInvalid, "POST", "", object{"name": strings.Repeat("x", 256), "value": "v", "vault_id": vault}},
		{400, postern.CodeSecretValueMissing, "POST", "", object{"name": "c", "vault_id": vault}},
		{400, postern.CodeSecretValueMissing, "PATCH", "/" + id, object{"value": ""}},
		{400, postern.CodeSecretValueTooLong, "POST", "", object{"name": "c", "value": strings.Repeat("x", 65537), "vault_id": vault}},
		{400, postern.CodeSecretNameTaken, "POST", "", object{"name": "a", "value": "v", "vault_name": "prod"}},
		{400, postern.CodeSecretNameTaken, "PATCH", "/" + id, object{"name": "b"}},
		{400, postern.CodeSecretVaultMissing, "POST", "", object{"name": "c", "value": "v"}},
		{404, postern.CodeSecretVaultUnknown, "POST", "", object{"name": "c", "value": "v", "vault_id": "vault_1"}},
		{404, postern.CodeSecretVaultNameUnknown, "POST", "", object{"name": "c", "value": "v", "vault_name": "nothing"}},
		{404, postern.CodeSecretVaultNameUnknown, "POST", "", object{"name": "c", "value": "v", "vault_name": "a\x00"}},
		{400, postern.CodeValueInvalid, "POST", "", object{"name": "c", "value": "v", "vault_id": vault, "vault_name": "test"}},
		{400, postern.CodeFieldUnknown, "PATCH", "/" + id, object{"vault_id": vault}},
	} {
		w.refused(c.status, c.code, c.method, "/vault_secrets"+c.path, c.body)
	}
	// A value of another type is not repeated in the message.
	for _, body := range []string{`{"value": 31415926}`, `{"value": {"a": 31415926}}`, `{"value": ["31415926"]}`, `["31415926"]`} {
		if got := w.send("POST", "/vault_secrets", body); got.StatusCode != 400 || strings.Contains(got.text, "31415926") {
			t.Errorf("%s: %s", body, got.text)
		}
	}
}

func TestVaultsOfOthers(t *testing.T) {
	w := newWorld(t)
	other := w.stranger()
	vault := text(w.does(201, "POST", "/vaults", object{"name": "prod"}), "id")
	secret := text(w.does(201, "POST", "/vault_secrets", object{"name": "a", "value": "v", "vault_id": vault}), "id")
	theirs := text(other.does(201, "POST", "/vaults", object{"name": "prod"}), "id") // names are the account's own
	for _, path := range []string{"/vaults/" + vault, "/vault_secrets/" + secret} {
		other.refused(404, "", "GET", path, nil)
		other.refused(404, "", "PATCH", path, object{"description": "mine"})
		other.refused(404, "", "DELETE", path, nil)
	}
	other.refused(404, "", "GET", "/vaults/"+vault+"/secrets", nil)
	other.refused(404, postern.CodeSecretVaultUnknown, "POST", "/vault_secrets", object{"name": "b", "value": "v", "vault_id": vault})
	if list := other.does(200, "GET", "/vault_secrets", nil); len(ids(list, "secrets")) != 0 {
		t.Errorf("another account's secrets: %v", list)
	}
	if _, err := w.service.SecretValue(t.Context(), other.first.AccountID, "prod", "a"); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("another account opens a secret: %v", err)
	}
	if list := w.does(200, "GET", "/vaults/"+theirs+"/secrets", nil, header("Authorization", "Bearer "+other.key)); len(ids(list, "secrets")) != 0 {
		t.Errorf("an empty vault has %v", list)
	}
}
