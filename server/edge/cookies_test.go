package edge_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// cookies are lines of Set-Cookie: as an endpoint below the shared domain
// users.postern.test gives them, and as its visitors get them.
var cookies = []struct{ given, got string }{
	{"a=b", "a=b"},
	{"a=b; Path=/; Secure", "a=b; Path=/; Secure"},
	{"a=domain; SameSite=Lax", "a=domain; SameSite=Lax"},
	{"a=b; Domain=app.users.postern.test", "a=b; Domain=app.users.postern.test"},
	{"a=b; domain=.APP.users.postern.test; Path=/", "a=b; domain=.APP.users.postern.test; Path=/"},
	{"a=b; Domain=users.postern.test; Path=/", "a=b; Path=/"},
	{"a=b; Path=/; DOMAIN = .Users.Postern.Test", "a=b; Path=/"},
	{"a=b;domain=postern.test", "a=b"},
	{"a=b;\tdomain=test", "a=b"},
	{"a=b; Domain=users.postern.test.", "a=b"},
	{"a=b; Domain=%75sers.postern.test", "a=b"},
	{"a=b; Domain=..users.postern.test", "a=b"},
	{"a=b; Domain=x%2e.users.postern.test", "a=b"},
	{"a=b; Domain=app.users.postern.test; Domain=users.postern.test", "a=b; Domain=app.users.postern.test"},
	{"a=b; Domain", "a=b"},
}

// No endpoint sets cookies for those of others that share its domain: not by its service,
// and not by a policy. A domain that is an account's own shares what it likes.
func TestCookiesStayWithTheirEndpoint(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path, func(c *edge.Config) { c.Domain, c.EndpointsDomain = "server."+domain, "users."+domain })
		var given, got []string
		for _, c := range cookies {
			given, got = append(given, c.given), append(got, c.got)
		}
		service := s.upstream(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Set-Cookie"] = slices.Clone(given)
			if r.URL.Path == "/switch" {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "chat")
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
		})
		s.serve("https://app.users."+domain, service)
		s.serve("https://own.customer."+domain, service)
		answering := newMember(service)
		answering.policy = compiled(t, postern.HTTPS, `
on_http_request: [{expressions: ["req.url.path == '/answer'"], actions: [{type: custom-response, config: {status_code: 200, headers: {set-cookie: a=b; Domain=users.postern.test}}}]}]
on_http_response: [{actions: [{type: add-headers, config: {headers: {set-cookie: c=d; Domain=postern.test}}}]}]`)
		s.policedPool("https://answering.users."+domain, answering)
		for _, protocol := range []string{"http/1.1", "h2"} {
			client := s.client(protocol)
			for url, want := range map[string][]string{
				"https://app.users." + domain:                   got,
				"https://own.customer." + domain:                given,
				"https://answering.users." + domain:             append(slices.Clone(got), "c=d"),
				"https://answering.users." + domain + "/answer": {"a=b"},
			} {
				response, _ := get(t, client, url)
				if diff := cmp.Diff(want, response.Header["Set-Cookie"]); diff != "" {
					t.Errorf("%s over %s (-want +got):\n%s", url, protocol, diff)
				}
			}
		}
		response, err := s.client("http/1.1").Do(switching(t, "https://app.users."+domain+"/switch"))
		must(t, err)
		defer response.Body.Close()
		if diff := cmp.Diff(got, response.Header["Set-Cookie"]); diff != "" || response.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s (-want +got):\n%s", response.Status, diff)
		}
	})
}

func switching(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	must(t, err)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "chat")
	return r
}
