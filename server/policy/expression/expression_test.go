package expression_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

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
		`req.user_agent.is_bot && req.user_agent == "curl/8"`, `!(req.user_agent.matches("a") || string(req.url).matches("^x"))`, `has(conn.tls)`, `has(conn.tls.sni) && !has(conn.tls.version)`, `!has(conn.k8s)`, `has(conn.client_ip)`,
		`vars.team == "blue"`, `vars.n == 3`, `vars.yes`, `has(vars.team) && !has(vars.other)`, `vars.list[1] == 1`, `actions.ngrok.rate_limit.limited`,
		`vars.object.x == "y" && has(vars.object.x) && !has(vars.object.z)`, `vars["object"]["x"] == "y"`, `[vars.object].exists(o, o.x == "y")`,
		`req.cookies["session"].exists(c, c.value == "s2")`, `req.cookies.session.map(c, c.value) == ["s1", "s2"]`,
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

// One expression and one template serve many exchanges at the same time.
func TestManyAtOnce(t *testing.T) {
	x := mustCompile(expression.Request, `getReqHeader("user-agent").exists(v, v.matches("(?i)curl")) && vars.n == 3`)
	tmpl, problem := expression.CompileTemplate(expression.Request, `${req.host} ${[1, 2].map(n, n * vars.n)}`)
	if problem != nil {
		t.Fatal(problem)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				s := scope()
				if ok, err := x.True(s); !ok {
					t.Error(err)
				}
				if got, err := tmpl.Text(s); got != "shop.example.com [3,6]" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}

// An expression tells what it reads, and not what it only asks about.
func TestReads(t *testing.T) {
	for text, want := range map[string]string{
		`true`:                                "",
		`conn.tls.sni == "a"`:                 "conn conn.tls conn.tls.sni",
		`conn.client_ip == "a"`:               "conn conn.client_ip",
		`conn.client_ip.is_tor_node`:          "conn conn.client_ip conn.client_ip.is_tor_node",
		`has(conn.k8s) || vars.x == "y"`:      "conn vars",
		`!has(actions.ngrok.x)`:               "actions",
		`["a"].exists(conn_, conn_ == "b")`:   "",
		`hasReqHeader("x") && req.host == ""`: "req req.host",
	} {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			t.Errorf("%s: %s", text, problem)
			continue
		}
		reads := slices.Sorted(slices.Values(x.Reads()))
		if got := strings.Join(slices.Compact(reads), " "); got != want {
			t.Errorf("%s reads %q, want %q", text, got, want)
		}
	}
	tmpl, problem := expression.CompileTemplate(expression.Request, "a ${req.method} ${has(req.host)} ${conn.ts.start}")
	if problem != nil {
		t.Fatal(problem)
	}
	reads := slices.Sorted(slices.Values(tmpl.Reads()))
	if got := strings.Join(slices.Compact(reads), " "); got != "conn conn.ts conn.ts.start req req.method" {
		t.Errorf("the template reads %q", got)
	}
}
