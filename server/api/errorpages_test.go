package api_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

// Reserved domains and cloud endpoints carry error pages, and a switch that can be thrown
// without saying anew who still gets in.
func TestErrorPages(t *testing.T) {
	w, _, domainID, _ := newEndpointWorld(t)
	made := w.does(201, "POST", "/endpoints", cloud("https://app.mine.example.com"))
	for _, path := range []string{"/reserved_domains/" + domainID, "/endpoints/" + made["id"].(string)} {
		changed := func(body any, pages, maintenance any) { // nil: the answer has no such field
			t.Helper()
			for _, got := range []object{w.does(200, "PATCH", path, body), w.does(200, "GET", path, nil)} {
				if !reflect.DeepEqual(got["error_pages"], pages) || !reflect.DeepEqual(got["maintenance"], maintenance) {
					t.Errorf("%s: %v gave %v and %v", path, body, got["error_pages"], got["maintenance"])
				}
			}
		}
		pages := []any{object{"errors": []any{"offline", "5xx"}, "html": "<h1>{{code}}</h1>", "text": "gone"}}
		shown := []any{object{"errors": []any{"offline", "5xx"}, "html": "<h1>{{code}}</h1>", "text": "gone"}}
		changed(object{"error_pages": pages}, shown, nil)
		changed(object{"description": "d"}, shown, nil)
		changed(object{"maintenance": object{"enabled": true, "retry_after": 60, "allow_cidrs": []any{"192.0.2.0/24"}}}, shown,
			object{"enabled": true, "retry_after": 60.0, "allow_cidrs": []any{"192.0.2.0/24"}})
		changed(object{"maintenance": object{"enabled": false}}, shown,
			object{"enabled": false, "retry_after": 60.0, "allow_cidrs": []any{"192.0.2.0/24"}})
		changed(object{"maintenance": nil, "error_pages": []any{}}, nil, nil)
		for _, c := range []struct {
			body object
			want string
		}{
			{object{"error_pages": []any{object{"errors": []any{"200"}, "html": "x"}}}, `error_pages[0].errors has "200"`},
			{object{"error_pages": []any{object{"errors": []any{"*"}, "html": "{{nobody}}"}}}, "no placeholder {{nobody}}"},
			{object{"error_pages": []any{object{"errors": []any{"*"}, "text": strings.Repeat("x", 64<<10+1)}}}, "more than 65536 bytes"},
			{object{"maintenance": object{"allow_cidrs": []any{"nobody"}}}, `maintenance.allow_cidrs has "nobody"`},
			{object{"maintenance": object{"retry_after": -1}}, "maintenance.retry_after is -1"},
		} {
			if text := w.refused(400, postern.CodeValueInvalid, "PATCH", path, c.body); !strings.Contains(text, c.want) {
				t.Errorf("%s: %.80v is refused with %q", path, c.body, text)
			}
		}
		w.refused(400, postern.CodeFieldUnknown, "PATCH", path, object{"error_pages": []any{object{"errors": []any{"*"}, "json": "{}"}}})
	}
	created := w.does(201, "POST", "/reserved_domains", object{"domain": "closed.org", "maintenance": object{"enabled": true},
		"error_pages": []any{object{"errors": []any{"*"}, "text": "x"}}})
	if created["maintenance"].(object)["enabled"] != true || len(created["error_pages"].([]any)) != 1 {
		t.Errorf("made as %v", created)
	}
	for url, want := range map[string]string{"tls://t.mine.example.com": "this one is tls", "https://api.internal": "forwards to api.internal"} {
		inner := w.does(201, "POST", "/endpoints", cloud(url))
		if text := w.refused(400, postern.CodeValueInvalid, "PATCH", "/endpoints/"+inner["id"].(string), object{"maintenance": object{"enabled": true}}); !strings.Contains(text, want) {
			t.Errorf("%s: refused with %q", url, text)
		}
	}
}
