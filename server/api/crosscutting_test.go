package api_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api"
)

func TestAuthentication(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	id, secret, _ := strings.Cut(w.key, "_")
	for name, c := range map[string]struct {
		value string
		code  postern.Code
	}{
		"none":               {"", postern.CodeKeyMissing},
		"Basic":              {"Basic YTpi", postern.CodeAuthorizationInvalid},
		"no shape":           {"Bearer hunter2-is-my-password", postern.CodeKeyMalformed},
		"nothing behind it":  {"Bearer", postern.CodeKeyMalformed},
		"of another server":  {"Bearer " + other.key, postern.CodeKeyInvalid},
		"wrong second half":  {"Bearer " + id + "_" + strings.Repeat("0", len(secret)), postern.CodeKeyInvalid},
		"an authtoken":       {"Bearer " + w.first.Authtoken.Reveal(), postern.CodeKeyInvalid},
		"the key with quote": {`Bearer "` + w.key + `"`, postern.CodeKeyMalformed},
	} {
		message := w.refused(403, c.code, "GET", "/ip_policies", nil, header("Authorization", c.value))
		if _, sent, _ := strings.Cut(c.value, " "); sent != "" && strings.Contains(message, sent) {
			t.Errorf("%s: the answer repeats what was sent: %s", name, message)
		}
	}
	w.does(200, "GET", "/ip_policies", nil, header("Authorization", "bearer "+w.key)) // RFC 9110 §11.1: no case
}

func TestStrictInput(t *testing.T) {
	w := newWorld(t)
	const path = "/ip_policies"
	large := `{"description":"` + strings.Repeat("x", 10<<20) + `"}`
	for _, c := range []struct {
		status int
		code   postern.Code
		method string
		path   string
		body   any
		edit   func(*http.Request)
	}{
		{400, postern.CodeVersionMissing, "GET", path, nil, header("Ngrok-Version", "")},
		{400, postern.CodeVersionInvalid, "GET", path, nil, header("Ngrok-Version", "1")},
		{400, postern.CodeContentTypeMissing, "POST", path, "{}", header("Content-Type", "")},
		{415, postern.CodeContentTypeInvalid, "POST", path, "{}", header("Content-Type", "text/plain")},
		{400, postern.CodeBodyUnexpected, "GET", path, "{}", nil},
		{413, postern.CodeBodyTooLarge, "POST", path, large, nil},
		{400, postern.CodeBodyUnparsable, "POST", path, "", nil},
		{400, postern.CodeBodyUnparsable, "POST", path, "[]", nil},
		{400, postern.CodeBodyUnparsable, "POST", path, `{"description":"a",}`, nil},
		{400, postern.CodeBodyUnparsable, "POST", path, `{“description”:"a"}`, nil},
		{400, postern.CodeBodyUnparsable, "POST", path, `{"description":"a"} {}`, nil},
		{400, postern.CodeBodyUnparsable, "POST", path, `{"description":"a","description":"b"}`, nil},
		{400, postern.CodeBodyUnparsable, "POST", path, "{\"description\":\"\xff\"}", nil},
		{400, postern.CodeFieldUnknown, "POST", path, object{"desc": "x"}, nil},
		{400, postern.CodeFieldUnknown, "POST", path, object{"Description": "x"}, nil},
		{400, postern.CodeValueInvalid, "POST", path, object{"description": 1}, nil},
		{400, postern.CodeFieldInvalid, "POST", path, object{"description": strings.Repeat("x", 256)}, nil},
		{400, postern.CodeFieldInvalid, "POST", path, object{"metadata": strings.Repeat("x", 4097)}, nil},
		{400, postern.CodeFieldInvalid, "POST", path, object{"metadata": "a\x00b"}, nil},
		{400, postern.CodeParameterUnknown, "GET", path + "?page=2", nil, nil},
		{400, postern.CodeParameterUnknown, "POST", path + "?limit=2", object{}, nil},
		{400, postern.CodeParameterRepeated, "GET", path + "?limit=2&limit=3", nil, nil},
		{400, postern.CodePageSizeInvalid, "GET", path + "?limit=0", nil, nil},
		{400, postern.CodePageSizeInvalid, "GET", path + "?limit=101", nil, nil},
		{400, postern.CodePageSizeInvalid, "GET", path + "?limit=ten", nil, nil},
		{400, postern.CodeCursorInvalid, "GET", path + "?before_id=ak_1", nil, nil},
		{404, "", "GET", path + "/ak_1", nil, nil},
		{404, "", "PUT", path, object{}, nil},
		{404, "", "GET", path + "/", nil, nil},
		{404, "", "GET", "//ip_policies", nil, nil},
		{404, "", "GET", "/nothing", nil, nil},
	} {
		edit := c.edit
		if edit == nil {
			edit = func(*http.Request) {}
		}
		w.refused(c.status, c.code, c.method, c.path, c.body, edit)
	}
	if list := w.does(200, "GET", path, nil); len(ids(list, "ip_policies")) != 0 || list["next_page_uri"] != nil {
		t.Errorf("something was made: %v", list)
	}
}

func TestUnknownFieldsAreToldApart(t *testing.T) {
	w := newWorld(t)
	message := w.refused(400, postern.CodeFieldUnknown, "POST", "/ip_policies", object{"desc": "x"})
	if !strings.Contains(message, `"desc"`) || !strings.Contains(message, "description, metadata") {
		t.Errorf("the message does not help: %s", message)
	}
	if message = w.refused(400, postern.CodeBodyUnparsable, "POST", "/ip_policies", "{\n  “description”: 1}"); !strings.Contains(message, "line 2") || !strings.Contains(message, "curly quotes") {
		t.Errorf("the message does not say where or why: %s", message) // S1-15
	}
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	var made []string
	for n := range 5 {
		got := w.does(201, "POST", "/ip_policies", object{"description": strconv.Itoa(n)})
		made = append(made, got["id"].(string)) //nolint:forcetypeassert // a test
	}
	slices.Sort(made)
	slices.Reverse(made)
	var listed []string
	for next := any("/ip_policies?limit=2"); next != nil; {
		page := w.does(200, "GET", next.(string), nil) //nolint:forcetypeassert // a test
		if page["uri"] != base+"/ip_policies" {
			t.Errorf("uri %v", page["uri"])
		}
		listed = append(listed, ids(page, "ip_policies")...)
		next = page["next_page_uri"]
	}
	if !slices.Equal(listed, made) {
		t.Errorf("pages have %v, want the newest first: %v", listed, made)
	}
}

func TestAccountsDoNotSeeEachOther(t *testing.T) {
	// Two installations stand for two accounts' ids; what belongs to nobody here is 404.
	w, other := newWorld(t), newWorld(t)
	made := other.does(201, "POST", "/ip_policies", object{})
	w.refused(404, "", "GET", "/ip_policies/"+made["id"].(string), nil) //nolint:forcetypeassert // a test
}

func TestRequestsAreCounted(t *testing.T) {
	now := &clock{now: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
	w := newWorld(t, func(c *api.Config) { c.RequestsPerMinute, c.Now = 60, now.read })
	for range 60 {
		w.does(200, "GET", "/ip_policies", nil)
	}
	w.refused(429, postern.CodeTooManyRequests, "GET", "/ip_policies", nil)
	if after := w.send("GET", "/ip_policies", nil).Header.Get("Retry-After"); after != "1" && after != "2" {
		t.Errorf("Retry-After is %q", after)
	}
	now.now = now.now.Add(2 * time.Second)
	w.does(200, "GET", "/ip_policies", nil)
}
