package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// S0-13…S0-16
func TestContacts(t *testing.T) {
	service := newContacts()
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // part of the answer; "" is an empty one
	}{
		{"POST", "/searchContactsByName", `{"firstName": "Test"}`, 200, `"lastName":"Account"`},
		{"POST", "/searchContactsByName", `{"firstName": "test", "lastName": "ACCOUNT"}`, 200, `"id":"1"`},
		{"POST", "/searchContactsByName", `{"searchFullName": "Test Account"}`, 200, `"id":"1"`},
		{"POST", "/searchContactsByName", `{"firstName": "Nobody"}`, 404, ""},
		{"POST", "/searchContactsByName", `{"firstName": "Test", "lastName": "Other"}`, 404, ""},
		{"POST", "/searchContactsByName", `{}`, 404, ""},
		{"POST", "/searchContactsByName", `{`, 400, "JSON"},
		{"POST", "/GetContactByPhoneNumber", `{"phoneNumber": "15550100"}`, 200, `"id":"1"`},
		{"POST", "/GetContactByPhoneNumber", `{"phoneNumber": "+"}`, 404, ""},
		{"POST", "/data/contacts", `{"firstName": "Ada", "lastName": "L", "phoneNumber": "2"}`, 201, `"id":"2"`},
		{"POST", "/GetContactByPhoneNumber", `{"phoneNumber": "2"}`, 200, "Ada"},
		{"GET", "/", "", 200, "<li>Ada L, 2</li>"},
		{"DELETE", "/data/contacts/2", "", 204, ""},
		{"DELETE", "/data/contacts/2", "", 404, ""},
		{"GET", "/nosuch", "", 404, "not found"},
		{"POST", "/data/contacts", `{"firstName": "` + strings.Repeat("x", mostBody) + `"}`, 400, "too large"},
	} {
		recorder := httptest.NewRecorder()
		service.ServeHTTP(recorder, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		answer, _ := io.ReadAll(recorder.Body)
		if recorder.Code != c.status || c.want == "" && len(answer) > 0 || !strings.Contains(string(answer), c.want) {
			t.Errorf("%s %s %.40s = %d %q, want %d %q", c.method, c.path, c.body, recorder.Code, answer, c.status, c.want)
		}
	}
}

func TestContactsAreBounded(t *testing.T) {
	service := newContacts()
	status := 0
	for range mostContacts {
		recorder := httptest.NewRecorder()
		service.ServeHTTP(recorder, httptest.NewRequest("POST", "/data/contacts", strings.NewReader(`{}`)))
		status = recorder.Code
	}
	if status != http.StatusInsufficientStorage {
		t.Errorf("contact %d got status %d", mostContacts+1, status)
	}
}
