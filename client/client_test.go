package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/resource"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const key = "3abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJK"

// serve makes a client of an API that handler plays. The real one is met in server/api's
// and e2e's tests.
func serve(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL, APIKey: key, HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOptions(t *testing.T) {
	for url, want := range map[string]postern.Code{
		"https://api.example.com":        "",
		"https://api.example.com:8443/":  "",
		"api.example.com":                postern.CodeFlagInvalid,
		"https://example.com/api/v2":     postern.CodeFlagInvalid,
		"https://api.example.com?x=1":    postern.CodeFlagInvalid,
		"ftp://api.example.com":          postern.CodeFlagInvalid,
		"https://api.example.com/\x7f/%": postern.CodeFlagInvalid,
	} {
		_, err := client.New(client.Options{URL: url, APIKey: key})
		if (err != nil) != (want != "") || err != nil && !postern.HasCode(err, want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if _, err := client.New(client.Options{URL: "https://api.example.com"}); !postern.HasCode(err, postern.CodeKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
}

func TestWhatIsSent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key || r.Header.Get("Ngrok-Version") != "2" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", r.Header)
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body) != 1 || body["description"] != "" || r.Method != http.MethodPatch || r.URL.Path != "/ip_policies/ipp_1" {
			t.Errorf("%s %s %v (%v): what is nil must not be sent, what is empty must", r.Method, r.URL, body, err)
		}
		_, _ = fmt.Fprint(w, `{"id":"ipp_1","metadata":"m"}`)
	})
	empty := ""
	changed, err := client.For(c, resource.IPPolicies()).Update(t.Context(), "ipp_1", resource.IPPolicyUpdate{Description: &empty})
	if err != nil || changed.ID != "ipp_1" || changed.Metadata != "m" {
		t.Errorf("got %+v, %v", changed, err)
	}
}

func TestListFollowsPages(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		switch len(asked) {
		case 1:
			_, _ = fmt.Fprintf(w, `{"ip_policies":[{"id":"ipp_3"},{"id":"ipp_2"}],"next_page_uri":"http://%s/ip_policies?before_id=ipp_2"}`, r.Host)
		case 2:
			_, _ = fmt.Fprint(w, `{"ip_policies":[{"id":"ipp_1"}],"next_page_uri":null}`)
		}
	})
	var ids []string
	for p, err := range client.For(c, resource.IPPolicies()).List(t.Context(), client.PageSize(2), client.Filtered(`obj.metadata == "a&b"`)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	if !slices.Equal(ids, []string{"ipp_3", "ipp_2", "ipp_1"}) || len(asked) != 2 {
		t.Errorf("got %v in %d requests", ids, len(asked))
	}
	if want := "filter=obj.metadata+%3D%3D+%22a%26b%22&limit=2"; asked[0] != want {
		t.Errorf("asked for %q, want %q", asked[0], want)
	}
}

// A next page elsewhere would be given the key.
func TestTheKeyStaysWithItsHost(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer elsewhere.Close()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"ip_policies":[{"id":"ipp_1"}],"next_page_uri":%q}`, elsewhere.URL+"/ip_policies")
	})
	var failure error
	for _, err := range client.For(c, resource.IPPolicies()).List(t.Context()) {
		failure = err
	}
	if !postern.HasCode(failure, postern.CodeAPIUnreachable) {
		t.Errorf("got %v", failure)
	}
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		code   postern.Code
		says   string
	}{
		"coded":     {403, `{"error_code":"ERR_NGROK_203","status_code":403,"msg":"no such key","details":{"operation_id":"op_1"}}`, postern.CodeKeyInvalid, "no such key"},
		"not there": {404, `{"status_code":404,"msg":"Resource not found","details":{}}`, postern.CodeNotFound, "not found"},
		"a proxy":   {502, `<html>Bad Gateway`, postern.CodeAPIUnreachable, "502"},
		"not JSON":  {200, `hello`, postern.CodeAPIUnreachable, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			api := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Ngrok-Operation-Id", "op_1")
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
			})
			_, err := client.For(api, resource.IPPolicies()).Get(t.Context(), "ipp_1")
			if !postern.HasCode(err, c.code) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), key) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	c, err := client.New(client.Options{URL: "http://127.0.0.1:1", APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.For(c, resource.IPPolicies()).Delete(t.Context(), "ipp_1"); !postern.HasCode(err, postern.CodeAPIUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}
