package expression_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/policy/expression"
)

// object is an Object, and a Text if it has one under "".
type object map[string]any

func (o object) Field(name string) any { return o[name] }

type text struct {
	object
	plain string
}

func (t text) Text() string { return t.plain }

func request() object {
	return object{
		"method": "GET", "host": "shop.example.com", "version": "HTTP/1.1", "content_length": int64(12), "location": "/there",
		"headers":          map[string][]string{"User-Agent": {"curl/8"}, "X-List": {"a", "b"}, "X-Json": {`["first entry", 2]`}},
		"trailers":         map[string][]string{"X-End": {"1"}},
		"cookies":          map[string][]expression.Object{"session": {object{"name": "session", "value": "s1", "secure": true}, object{"name": "session", "value": "s2"}}},
		"content_type":     text{object{"raw": "text/html; charset=utf-8", "parameters": map[string]string{"charset": "utf-8"}}, "text/html"},
		"content_encoding": []string{"br", "gzip"},
		"user_agent":       text{object{"name": "curl", "is_bot": true}, "curl/8"},
		"url": text{object{
			"path": "/api/v1/x", "raw_path": "/api/v1/x", "query": "q=1&q=2&a=b", "query_params": map[string][]string{"q": {"1", "2"}, "a": {"b"}},
			"port": int64(8443), "scheme": "https", "host": "shop.example.com",
		}, "https://shop.example.com:8443/api/v1/x?q=1&q=2&a=b"},
		"ts": object{"header_received": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
}

func scope() *expression.Scope {
	return &expression.Scope{
		Conn: object{
			"client_ip":   text{object{"is_tor_node": true, "categories": []string{"com", "com.cloudflare"}, "geo": object{"location": object{"country_code": "DE"}}}, "192.0.2.7"},
			"client_port": int64(5555), "server_ip": "198.51.100.1", "geo": object{"country_code": "DE", "latitude": "52.5"},
			"ts": object{"start": time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)},
			"tls": object{"sni": "shop.example.com", "client": object{"subject": text{object{"common_name": "bob", "country": []string{"DE"}}, "CN=bob,C=DE"},
				"extensions": []expression.Object{object{"id": "2.5.29.15", "critical": true, "value": []byte{3}}}}},
		},
		Endpoint: object{"id": "ep_1", "url": "https://shop.example.com", "host": "shop.example.com", "port": int64(443), "protocol": "https"},
		Request:  request(),
		Response: object{"status_code": int64(404), "headers": map[string][]string{"Content-Type": {"text/plain"}},
			"cookies": map[string][]expression.Object{"a": {object{"name": "a", "value": "1", "max_age": time.Hour, "expires": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}}}},
		Message: object{"event": "add", "data": "hello", "id": "7"},
		Vars:    map[string]any{"team": "blue", "n": int64(3), "yes": true, "list": []any{"a", int64(1)}},
		Actions: map[string]any{"ngrok": map[string]any{"rate_limit": map[string]any{"limited": true}}},
		Secret: func(_ context.Context, vault, name string) (string, error) {
			if vault != "v" {
				return "", errors.New("no such vault")
			}
			return "hunter2-" + name, nil
		},
		Now: func() time.Time { return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC) },
	}
}

// Every expression here is true of scope.
func TestTrue(t *testing.T) {
	for _, text := range []string{
		`true`, `req.method == "GET"`, `conn.client_ip == "192.0.2.7"`, `conn.client_ip in ["::1", "192.0.2.7"]`,
		`conn.client_ip.startsWith("192.")`, `conn.client_ip.is_tor_node`, `conn.client_ip.geo.location.country_code == "DE"`,
		`"com.cloudflare" in conn.client_ip.categories`, `conn.server_ip == "198.51.100.1"`, `conn.client_ip + "x" == "192.0.2.7x"`,
		`double(conn.geo.latitude) > 45.0`, `conn.ts.start > timestamp("2023-12-31T00:00:00Z")`,
		`inCidrRange(conn.client_ip, "192.0.2.0/24")`, `inCidrRanges(conn.client_ip, ["10.0.0.0/8", "192.0.2.1/24"])`,
		`!inCidrRange(conn.client_ip, "nonsense")`, `conn.tls.client.subject == "CN=bob,C=DE"`, `conn.tls.client.subject.common_name == "bob"`,
		`conn.tls.client.extensions[0].critical`, `conn.tls.client.extensions[0].value == b"\x03"`,
		`req.headers["x-list"][1] == "b"`, `req.headers["X-List"][0] == "a"`, `req.headers["X-LIST"] == ["a", "b"]`, `"x-list" in req.headers`,
		`has(req.headers["x-list"])`, `!has(req.headers["x-none"])`, `has(req.headers["x-list"][1])`, `!has(req.headers["x-list"][2])`, `size(req.headers) == 3`,
		`req.headers.exists(k, k == "User-Agent")`, `hasReqHeader("user-agent")`, `!hasReqHeader("user-agents")`, `getReqHeader("X-List") == ["a","b"]`, `size(getReqHeader("x-none")) == 0`,
		`getReqHeader("User-Agent").exists(v, v.matches("(?i)CURL"))`, `hasReqCookie("session")`, `getReqCookie("session").value == "s1"`, `getReqCookie("session").secure`,
		`req.cookies["session"][1].value == "s2"`, `size(req.cookies) == 1`, `hasQueryParam("q") && !hasQueryParam("z")`, `getQueryParam("q") == ["1", "2"]`,
		`req.url.path.startsWith("/api/")`, `req.url == "https://shop.example.com:8443/api/v1/x?q=1&q=2&a=b"`, `req.url.query_params["a"][0] == "b"`,
		`req.content_type == "text/html"`, `req.content_type.parameters["charset"] == "utf-8"`, `json.encode(req.content_type.parameters) == '{"charset":"utf-8"}'`,
		`req.user_agent.is_bot && req.user_agent == "curl/8"`, `has(conn.tls)`, `has(conn.tls.sni) && !has(conn.tls.version)`, `!has(conn.k8s)`, `has(conn.client_ip)`,
		`vars.team == "blue"`, `vars.n == 3`, `vars.yes`, `has(vars.team) && !has(vars.other)`, `vars.list[1] == 1`, `actions.ngrok.rate_limit.limited`,
		`timestamp(time.now) > conn.ts.start`, `time.now == "2026-11-22T18:00:00Z"`, `endpoint.port == 443`,
		`secrets.get("v", "n") == "hunter2-n"`, `json.decode(getReqHeader("x-json")[0])[0] == "first entry"`,
		`req.ts.header_received.getHours() == 3`, `type(req.method) == string`,
	} {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			t.Errorf("%s: %s", text, problem)
			continue
		}
		if got, err := x.True(scope()); !got || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		`req.methd == "GET"`: "line 1, column 5: there is no req.methd; did you mean req.method?",
	} {
		_, problem := expression.Compile(expression.Request, text)
		if problem == nil || !strings.Contains(problem.String(), want) {
			t.Errorf("%s: %v, not %s", text, problem, want)
		}
	}
}
