package localapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/localapi"
)

// Which names of this machine are answered. A page in the owner's browser that has its
// own name lead here gets nothing.
func TestHosts(t *testing.T) {
	for host, want := range map[string]int{
		"localhost:4040": 200, "localhost": 200, "LOCALHOST.:4040": 200, "127.0.0.1:4041": 200, "127.9.9.9": 200, "[::1]:4040": 200, "[::ffff:127.0.0.1]": 200,
		"evil.example": 401, "foo.localhost": 401, "": 401, "localhost.evil.example": 401, "127.0.0.1.evil.example": 401, "0.0.0.0:4040": 401,
		"192.168.1.5:4040": 401, "[::1": 401, "localhost@evil.example": 401, "2130706433": 401, "127.1": 401, "listed.example": 200, "LISTED.example:1": 200,
		"a.suffix.example": 200, "suffix.example": 200, "asuffix.example": 401, "10.1.2.3:4040": 200, "11.1.2.3": 401, "[fd00::1]": 200,
	} {
		a := newAPI(t, func(c *localapi.Config) {
			c.AllowHosts = []string{"Listed.example", ".suffix.example", "10.0.0.0/8", "fd00::1"}
		})
		w := a.ask("GET", "/api/status", "", "Host: "+host)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
		if w.Code == 401 && (!strings.HasPrefix(w.Body.String(), fmt.Sprintf("Rejected host %q.\n", host)) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain")) {
			t.Errorf("Host %q: %s", host, w.Body)
		}
	}
	for _, entry := range []string{"", "*.example.com", "http://x", "10.0.0.0/99", "x:80", "."} {
		if _, err := localapi.New(localapi.Config{AllowHosts: []string{entry}}); !postern.HasCode(err, postern.CodeConfigInvalid) {
			t.Errorf("web_allow_hosts %q: %v", entry, err)
		}
	}
}

// Who must show the token, and who is let in with it.
func TestExposure(t *testing.T) {
	const bearer = "Authorization: Bearer s3cret"
	for name, c := range map[string]struct {
		address string // that is listened on
		token   string
		tunnel  string // that is up; a body of /api/tunnels
		headers []string
		want    int
	}{
		"this machine":                          {address: "127.0.0.1:4040", want: 200},
		"this machine, with a token configured": {address: "127.0.0.1:4040", token: "s3cret", want: 200},
		"forwarded":                             {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-For: 1.2.3.4"}, want: 401},
		"forwarded, standard header":            {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"Forwarded: for=1.2.3.4"}, want: 401},
		"forwarded, any of them":                {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-Whatever: 1"}, want: 401},
		"forwarded, with the token":             {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-For: 1.2.3.4", bearer}, want: 200},
		"the scheme in another case":            {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-For: 1.2.3.4", "Authorization: bearer s3cret"}, want: 200},
		"a wrong token":                         {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-For: 1.2.3.4", "Authorization: Bearer s3cre"}, want: 401},
		"the token as a password":               {address: "127.0.0.1:4040", token: "s3cret", headers: []string{"X-Forwarded-For: 1.2.3.4", "Authorization: Basic s3cret"}, want: 401},
		"no token configured":                   {address: "127.0.0.1:4040", headers: []string{"X-Forwarded-For: 1.2.3.4", "Authorization: Bearer "}, want: 401},
		"bound wide":                            {address: "0.0.0.0:4040", token: "s3cret", want: 401},
		"bound wide, with the token":            {address: "0.0.0.0:4040", token: "s3cret", headers: []string{bearer}, want: 200},
		"bound to one address, by it":           {address: "192.0.2.4:4040", token: "s3cret", headers: []string{bearer, "Host: 192.0.2.4:4040"}, want: 200},
		"bound to one address, by another":      {address: "192.0.2.4:4040", token: "s3cret", headers: []string{bearer, "Host: 192.0.2.5:4040"}, want: 401},
		"bound wide, by a listed host":          {address: "0.0.0.0:4040", token: "s3cret", headers: []string{"Host: listed.example"}, want: 200},
		"an endpoint leads here":                {address: "127.0.0.1:4040", token: "s3cret", tunnel: agentTunnel, headers: []string{"Host: agent.example.com", bearer}, want: 200},
		"the same without the token":            {address: "127.0.0.1:4040", token: "s3cret", tunnel: agentTunnel, headers: []string{"Host: agent.example.com"}, want: 401},
		"local requests beside it":              {address: "127.0.0.1:4040", token: "s3cret", tunnel: agentTunnel, want: 200},
		"an endpoint that leads elsewhere":      {address: "127.0.0.1:4040", token: "s3cret", tunnel: strings.Replace(agentTunnel, "4040", "4041", 1), headers: []string{"Host: agent.example.com", bearer}, want: 401},
		"an endpoint of another machine's 4040": {address: "127.0.0.1:4040", token: "s3cret", tunnel: strings.Replace(agentTunnel, "4040", `"10.0.0.1:4040"`, 1), headers: []string{"Host: agent.example.com", bearer}, want: 401},
		"a tcp endpoint hides who comes":        {address: "127.0.0.1:4040", token: "s3cret", tunnel: `{"name":"raw","proto":"tcp","addr":"localhost:4040"}`, want: 401},
		"a tcp endpoint by a name of ours":      {address: "127.0.0.1:4040", token: "s3cret", tunnel: `{"name":"raw","proto":"tcp","addr":"myself:4040"}`, want: 401},
		"a tcp endpoint elsewhere":              {address: "127.0.0.1:4040", token: "s3cret", tunnel: `{"name":"raw","proto":"tcp","addr":"10.0.0.1:4040"}`, want: 200},
		"a tcp endpoint, with the token":        {address: "127.0.0.1:4040", token: "s3cret", tunnel: `{"name":"raw","proto":"tcp","addr":"localhost:4040"}`, headers: []string{bearer}, want: 200},
		"a listed host opts out of the token":   {address: "127.0.0.1:4040", token: "s3cret", tunnel: agentTunnel, headers: []string{"Host: listed.example", "X-Forwarded-For: 1.2.3.4"}, want: 200},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(config *localapi.Config) {
				config.Address, config.Token, config.AllowHosts = address(c.address), postern.Secret(c.token), []string{"listed.example"}
			})
			if c.tunnel != "" {
				if w := a.ask("POST", "/api/tunnels", c.tunnel, "Authorization: Bearer s3cret"); w.Code != 201 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			w := a.ask("GET", "/api/tunnels", "", c.headers...)
			if w.Code != c.want {
				t.Errorf("%d, want %d: %s", w.Code, c.want, w.Body)
			}
			if w.Code == 401 && !strings.HasPrefix(w.Body.String(), "Rejected host") &&
				(w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(w.Body.String(), "Authorization: Bearer TOKEN") || !strings.Contains(w.Body.String(), "config add-web-token")) {
				t.Errorf("the answer does not say what to do: %s", w.Body)
			}
		})
	}
}

// S1-29.
const agentTunnel = `{"name":"agent-api","proto":"http","addr":4040,"domain":"agent.example.com","bind_tls":true}`

// The owner who opts out is told once.
func TestOptOutWarns(t *testing.T) {
	var log bytes.Buffer
	a := newAPI(t, func(c *localapi.Config) {
		c.Address, c.AllowHosts = address("0.0.0.0:4040"), []string{"listed.example"}
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	for range 3 {
		a.ask("GET", "/api/status", "", "Host: listed.example")
	}
	if n := strings.Count(log.String(), "without a token"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	if !strings.Contains(log.String(), "msg=start pg=/api/status id=") || !strings.Contains(log.String(), "status=200 dur=") {
		t.Errorf("no lines of the requests: %s", log.String())
	}
}

// A page of another site can write nothing, whatever it is allowed to send.
func TestOrigins(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"a program":             {method: "DELETE", path: "/api/requests/http", want: 204},
		"our own page":          {method: "DELETE", path: "/api/requests/http", headers: []string{"Sec-Fetch-Site: same-origin", "Origin: http://localhost:4040"}, want: 204},
		"a foreign page":        {method: "DELETE", path: "/api/requests/http", headers: []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, want: 403},
		"an older browser":      {method: "DELETE", path: "/api/requests/http", headers: []string{"Origin: https://evil.example"}, want: 403},
		"another port of ours":  {method: "POST", path: "/api/tunnels", headers: []string{"Sec-Fetch-Site: same-site", "Origin: http://localhost:3000"}, want: 403},
		"a sandboxed frame":     {method: "POST", path: "/api/tunnels", headers: []string{"Origin: null"}, want: 403},
		"a form":                {method: "POST", path: "/api/tunnels", headers: []string{"Content-Type: text/plain"}, want: 415},
		"reading is harmless":   {method: "GET", path: "/api/tunnels", headers: []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, want: 200},
		"a preflight's request": {method: "OPTIONS", path: "/api/tunnels", headers: []string{"Origin: https://evil.example"}, want: 405},
	} {
		w := newAPI(t, nil).ask(c.method, c.path, "", c.headers...)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
		for header := range w.Header() {
			if strings.HasPrefix(header, "Access-Control-") {
				t.Errorf("%s: %s allows others", name, header)
			}
		}
	}
}

// Names, paths and bodies of strangers.
func FuzzAPI(f *testing.F) {
	f.Add("GET", "/api/tunnels/a%20b", "", "localhost")
	f.Add("POST", "/api/tunnels", `{"name":"a/%2F+","proto":"http","addr":"80"}`, "127.0.0.1:4040")
	f.Add("PUT", "/api/endpoints/%00%ff", `{"upstream":{"url":"80"}}`, "[::1]")
	f.Add("POST", "/api/requests/http", `{"id":"airt_"}`, "evil.example")
	f.Add("DELETE", "//api///tunnels/../..", "", "localhost:99999999")
	f.Fuzz(func(t *testing.T, method, path, body, host string) {
		a := newAPI(t, func(c *localapi.Config) { c.Token = "s3cret" })
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		target, err := r.URL.Parse(path)
		if err != nil || strings.HasPrefix(path, "/api/events") {
			return
		}
		r.Method, r.URL, r.Host = method, target, host
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code < 200 || w.Code == 500 {
			t.Fatalf("%s %s answers %d %s", method, path, w.Code, w.Body)
		}
		// What was started is found by the address that it is listed with.
		for _, tunnel := range a.agent.Tunnels() {
			var list struct{ Tunnels []struct{ Name, URI string } }
			read(t, a.ask("GET", "/api/tunnels", "").Body, &list)
			for _, listed := range list.Tunnels {
				var got struct{ Name string }
				read(t, a.ask("GET", listed.URI, "").Body, &got)
				if got.Name != listed.Name {
					t.Fatalf("%s (%q) gives %q", listed.URI, tunnel.Label, got.Name)
				}
			}
		}
	})
}
