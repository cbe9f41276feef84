package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-dev/postern"
)

// guards are policies that keep strangers from something, by the name of their endpoint.
var guards = map[string]string{
	"exact":  `{expressions: ["req.url.path == '/admin'"], actions: [{type: deny, config: {status_code: 403}}]}`,
	"prefix": `{expressions: ["req.url.path == '/admin' || req.url.path.startsWith('/admin/')"], actions: [{type: deny, config: {status_code: 403}}]}`,
	"role":   `{expressions: ["'x-role' in req.headers"], actions: [{type: deny, config: {status_code: 403}}]}`,
	"strip":  `{actions: [{type: remove-headers, config: {headers: [x-role]}}]}`,
	"query":  `{expressions: ["'debug' in req.url.query_params"], actions: [{type: deny, config: {status_code: 403}}]}`,
	"host":   `{expressions: ["req.host == 'host.` + domain + `' || req.url.host == 'host.` + domain + `'"], actions: [{type: deny, config: {status_code: 403}}]}`,
	"gate":   `{actions: [{type: basic-auth, config: {credentials: ["user:password"]}}]}`,
}

// lastTarget is what a connection asks for at last.
const lastTarget = "/last"

// guarded is a site with an endpoint for each guard, and one that is open to all. Their
// services are as lenient as any: what reaches them that was to be kept away is a breach.
type guarded struct {
	*site
	mu       sync.Mutex
	seen     []string
	breaches []string
}

func guard(t *testing.T, path func(*config)) *guarded {
	g := &guarded{site: start(t, path)}
	g.online("open", "{actions: [{type: set-vars, config: {vars: [{a: b}]}}]}")
	for name, rule := range guards {
		g.online(name, rule)
	}
	return g
}

func (g *guarded) online(name, rule string) {
	service := g.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, broken := io.Copy(io.Discard, r.Body)
		g.mu.Lock()
		defer g.mu.Unlock()
		if broken == nil && r.RequestURI != lastTarget {
			g.seen = append(g.seen, name+" "+r.RequestURI)
		}
		if problem := breach(name, r); problem != "" {
			g.breaches = append(g.breaches, fmt.Sprintf("%s: %s %s %s %q", problem, r.Method, r.Host, r.RequestURI, r.Header))
		}
	})
	// The last rule tells what rules have seen.
	text := "on_http_request:\n- " + rule + "\n- {actions: [{type: add-headers, config: {headers: {x-saw: \"${req.method} ${req.url.raw_path}?${req.url.query}\"}}}]}\n"
	for _, scheme := range []postern.Scheme{postern.HTTP, postern.HTTPS} {
		m := newMember(service)
		m.policy = compiled(g.t, scheme, text)
		g.policedPool(string(scheme)+"://"+name+"."+domain, m)
	}
}

// breach is what is wrong about a request that has come to the service of a guard.
func breach(name string, r *http.Request) string {
	if saw, is := r.Header.Get("X-Saw"), r.Method+" "+r.URL.EscapedPath()+"?"+r.URL.RawQuery; saw != is {
		return "the policy saw " + saw
	}
	switch name {
	case "exact", "prefix":
		if at := lenient(r.RequestURI); at == "/admin" || name == "prefix" && strings.HasPrefix(at, "/admin/") {
			return "a protected path"
		}
	case "role", "strip":
		for name := range r.Header {
			if strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name)) == "x-role" {
				return "a protected header"
			}
		}
	case "query":
		if strings.Contains(r.URL.RawQuery, "debug") {
			return "a protected parameter"
		}
	case "gate", "host":
		return "a protected endpoint"
	}
	return ""
}

// lenient is a path as the most helpful of services reads it.
func lenient(target string) string {
	target, _, _ = strings.Cut(target, "?")
	if decoded, err := url.PathUnescape(target); err == nil {
		target = decoded
	}
	target, _, _ = strings.Cut(target, "\x00")
	target = strings.ReplaceAll(target, `\`, "/")
	var segments []string
	for segment := range strings.SplitSeq(target, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		segments = append(segments, segment)
	}
	slash := ""
	if strings.HasSuffix(target, "/") {
		slash = "/"
	}
	return path.Clean("/"+strings.Join(segments, "/")) + slash
}

// sound checks that nothing has come through that should not have, after one request of
// the row has been sent.
func (g *guarded) sound(t *testing.T, row string, status, want int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.breaches {
		t.Errorf("%s: %s", row, b)
	}
	if status != want {
		t.Errorf("%s: %d, want %d (came through: %q)", row, status, want, g.seen)
	}
	if want >= 400 && len(g.seen) > 0 {
		t.Errorf("%s: refused, and came through: %q", row, g.seen)
	}
	g.seen, g.breaches = nil, nil
}

// targets are ways to ask for /admin: what a policy with the exact path answers, and one
// with the path and all below.
var targets = []struct {
	target        string
	exact, prefix int
}{
	{"/admin", 403, 403},
	{"/%61dmin", 403, 403},
	{"/%61%64%6d%69%6e", 403, 403},
	{"/admin?x=/y", 403, 403},
	{"/admin%3Fx", 200, 200}, // another path: with a question mark in it
	{"/a/..%2fadmin", 400, 400},
	{"/a%2f..%2fadmin", 400, 400},
	{"/a/../admin", 400, 400},
	{"/a/%2e%2e/admin", 400, 400},
	{"/a/.%2E/admin", 400, 400},
	{"/a/..;/admin", 400, 400},
	{"/./admin", 400, 400},
	{"/%2e/admin", 400, 400},
	{"/admin/.", 400, 400},
	{"//admin", 400, 400},
	{"/%2fadmin", 400, 400},
	{"/%2Fadmin", 400, 400},
	{"/admin//", 400, 400},
	{"/admin;x", 400, 400},
	{"/admin;x/users", 400, 400},
	{"/;/admin", 400, 400},
	{"/admin%00", 400, 400},
	{"/admin%0a", 400, 400},
	{"/%5cadmin", 400, 400},
	{"/a/..%5cadmin", 400, 400},
	{"/%c0%afadmin", 400, 400}, // an overlong slash
	{"/admin/", 200, 403},      // another path, for whoever says ==
	{"/admin/users", 200, 403},
	{"/ADMIN", 200, 200},     // paths have cases
	{"/%2561dmin", 200, 200}, // decoded once, as the service must
	{"/admin%20", 200, 200},
}

// No spelling of a path gets past a policy that reads paths.
func TestPathsPastAPolicy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		g := guard(t, path)
		for _, row := range targets {
			for name, want := range map[string]int{"exact": row.exact, "prefix": row.prefix} {
				response := g.raw("GET " + row.target + " HTTP/1.1\r\nHost: " + name + "." + domain + "\r\n\r\n")
				g.sound(t, name+" "+row.target, response.StatusCode, want)
				response = g.raw("GET http://" + name + "." + domain + row.target + " HTTP/1.1\r\nHost: " + name + "." + domain + "\r\n\r\n")
				g.sound(t, name+" whole "+row.target, response.StatusCode, want)
				status := g.asks(":method", "GET", ":scheme", "https", ":authority", name+"."+domain, ":path", row.target)
				g.sound(t, name+" HTTP/2 "+row.target, status, want)
			}
		}
	})
}

// asks sends a request of these fields over HTTP/2 and gives the status, 400 where the
// stream was cut.
func (g *guarded) asks(fields ...string) (status int) {
	g.t.Helper()
	name := "open." + domain
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == ":authority" && strings.HasSuffix(fields[i+1], "."+domain) {
			_, host, found := strings.Cut(fields[i+1], "@")
			if !found {
				host = fields[i+1]
			}
			name = strings.ToLower(host)
		}
	}
	conn := g.dialTLS(name, "h2")
	defer conn.Close()
	_, err := io.WriteString(conn, http2.ClientPreface)
	must(g.t, err)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	must(g.t, f.WriteSettings())
	var block strings.Builder
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	must(g.t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true}))
	for {
		frame, err := f.ReadFrame()
		if err != nil { // cut, too
			return http.StatusBadRequest
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			_, _ = fmt.Sscan(frame.PseudoValue("status"), &status)
			return status
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return http.StatusBadRequest
		}
	}
}

// tricks are requests over HTTP/1.1 that want more than they say. H is the host of a
// guard.
var tricks = []struct {
	name, guard, request string
	want                 int
}{
	{"a header", "role", "GET / HTTP/1.1\r\nHost: H\r\nX-Role: admin\r\n\r\n", 403},
	{"a header in another case", "role", "GET / HTTP/1.1\r\nHost: H\r\nx-ROLE: admin\r\n\r\n", 403},
	{"a header twice", "role", "GET / HTTP/1.1\r\nHost: H\r\nX-Role: a\r\nX-Role: admin\r\n\r\n", 403},
	{"an empty header", "role", "GET / HTTP/1.1\r\nHost: H\r\nX-Role:\r\nX-Role: admin\r\n\r\n", 403},
	{"a header with an underscore", "role", "GET / HTTP/1.1\r\nHost: H\r\nX_Role: admin\r\n\r\n", 400},
	{"a header with a dot", "role", "GET / HTTP/1.1\r\nHost: H\r\nX.Role: admin\r\n\r\n", 400},
	{"a header before a blank", "role", "GET / HTTP/1.1\r\nHost: H\r\nX-Role : admin\r\n\r\n", 400},
	{"a header of the connection", "role", "GET / HTTP/1.1\r\nHost: H\r\nConnection: X-Role\r\nX-Role: admin\r\n\r\n", 200},
	{"a removed header", "strip", "GET / HTTP/1.1\r\nHost: H\r\nX-Role: admin\r\nx-role: admin\r\n\r\n", 200},
	{"a removed header with an underscore", "strip", "GET / HTTP/1.1\r\nHost: H\r\nX_Role: admin\r\nX_role: a\r\n\r\n", 200},
	{"a removed header of the connection", "strip", "GET / HTTP/1.1\r\nHost: H\r\nConnection: X-Role\r\nX-Role: admin\r\n\r\n", 200},
	{"a parameter", "query", "GET /?a=b&debug=1 HTTP/1.1\r\nHost: H\r\n\r\n", 403},
	{"an encoded parameter", "query", "GET /?%64ebug HTTP/1.1\r\nHost: H\r\n\r\n", 403},
	{"a parameter behind a semicolon", "query", "GET /?a=b;debug=1 HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"a parameter beside a broken one", "query", "GET /?debug=1&a=%zz HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"a parameter behind many", "query", "GET /?" + strings.Repeat("a&", 1000) + "debug HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"a host in another case", "host", "GET / HTTP/1.1\r\nHost: HOST." + domain + "\r\n\r\n", 403},
	{"a host with a dot at its end", "host", "GET / HTTP/1.1\r\nHost: host." + domain + ".\r\n\r\n", 403},
	{"a host with two dots at its end", "host", "GET / HTTP/1.1\r\nHost: host." + domain + "..\r\n\r\n", 400},
	{"another host's URL", "open", "GET http://gate." + domain + "/ HTTP/1.1\r\nHost: H\r\n\r\n", 401},
	{"an open host's URL", "gate", "GET http://gate." + domain + "/ HTTP/1.1\r\nHost: open." + domain + "\r\n\r\n", 401},
	{"a URL with a user", "open", "GET http://open@gate." + domain + "/ HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"no credentials", "gate", "GET / HTTP/1.1\r\nHost: H\r\n\r\n", 401},
	{"credentials of the connection", "gate", "GET / HTTP/1.1\r\nHost: H\r\nConnection: Authorization, Postern-Authorization\r\n\r\n", 401},
	{"two kinds of credentials", "gate", "GET / HTTP/1.1\r\nHost: H\r\nAuthorization: Basic dXNlcjp3cm9uZw==\r\nAuthorization: Basic eDp5\r\n\r\n", 400},
	{"an upgrade", "gate", "GET / HTTP/1.1\r\nHost: H\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 401},
	{"an upgrade of a wrong version", "prefix", "GET /admin HTTP/1.1\r\nHost: H\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n\r\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\n", 403},
	{"an upgrade that is none", "prefix", "GET / HTTP/1.1\r\nHost: H\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n\r\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\n", 200},
	{"an upgrade to h2c", "prefix", "GET / HTTP/1.1\r\nHost: H\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 200},
	{"chunks with extensions", "prefix", "POST /admin HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"b\"\r\nx\r\n0\r\n\r\n", 403},
	{"a request within a chunk's extension", "prefix", "POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n1;\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\nx\r\n0\r\n\r\n", 400},
	{"two lengths", "prefix", "POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"a length and chunks", "prefix", "POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\n", 400},
	{"a second request behind a refused one", "prefix", "GET /admin HTTP/1.1\r\nHost: H\r\n\r\nGET /admin/2 HTTP/1.1\r\nHost: H\r\n\r\n", 403},
	{"a second request behind a refused body", "prefix", "POST /admin HTTP/1.1\r\nHost: H\r\nContent-Length: 3\r\n\r\nabcGET /admin/2 HTTP/1.1\r\nHost: H\r\n\r\n", 403},
	{"a second request behind an open one", "prefix", "GET / HTTP/1.1\r\nHost: H\r\n\r\nGET /admin HTTP/1.1\r\nHost: H\r\n\r\n", 200},
	{"a protected host behind an open one", "open", "GET / HTTP/1.1\r\nHost: H\r\n\r\nGET / HTTP/1.1\r\nHost: gate." + domain + "\r\n\r\n", 200},
	{"another target by a header", "prefix", "GET / HTTP/1.1\r\nHost: H\r\nX-Forwarded-Host: gate." + domain + "\r\nForwarded: host=gate\r\n\r\n", 200},
}

// Nothing that is smuggled into a request over HTTP/1.1 gets past a policy.
func TestTricksPastAPolicy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		g := guard(t, path)
		for _, row := range tricks {
			conn := g.dial(g.http)
			_, err := io.WriteString(conn, strings.ReplaceAll(row.request, "Host: H\r\n", "Host: "+row.guard+"."+domain+"\r\n")+
				"GET "+lastTarget+" HTTP/1.1\r\nHost: open."+domain+"\r\nConnection: close\r\n\r\n")
			must(t, err)
			reader := bufio.NewReader(conn)
			first := 0
			for { // all answers, so that what follows has been dealt with
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if first == 0 {
					first = response.StatusCode
				}
			}
			g.sound(t, row.name, first, row.want)
		}
	})
}

// Nor do pseudo-headers of HTTP/2 that say more than a request line could.
func TestPseudoHeadersPastAPolicy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		g := guard(t, path)
		host := func(name string) string { return name + "." + domain }
		for name, row := range map[string]struct {
			fields []string
			want   int
		}{
			"a path without a slash":      {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", "admin"}, 400},
			"an empty path":               {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", ""}, 400},
			"no path":                     {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix")}, 400},
			"two paths":                   {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", "/", ":path", "/admin"}, 400},
			"a whole URL":                 {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", "https://" + host("prefix") + "/admin"}, 403},
			"a path with a request":       {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", "/ HTTP/1.1\r\nhost: " + host("gate")}, 400},
			"another scheme":              {[]string{":method", "GET", ":scheme", "http", ":authority", host("prefix"), ":path", "/admin"}, 403},
			"a scheme with a path":        {[]string{":method", "GET", ":scheme", "https://" + host("prefix") + "/admin?", ":authority", host("prefix"), ":path", "/admin"}, 400},
			"a host beside":               {[]string{":method", "GET", ":scheme", "https", ":authority", host("gate"), ":path", "/", "host", host("open")}, 401},
			"a protected host beside":     {[]string{":method", "GET", ":scheme", "https", ":authority", host("open"), ":path", "/", "host", host("gate")}, 200},
			"a host instead":              {[]string{":method", "GET", ":scheme", "https", ":path", "/", "host", host("gate")}, 421},
			"an authority with a user":    {[]string{":method", "GET", ":scheme", "https", ":authority", "a@" + host("open"), ":path", "/"}, 400},
			"a host in another case":      {[]string{":method", "GET", ":scheme", "https", ":authority", "HOST." + domain, ":path", "/"}, 403},
			"CONNECT":                     {[]string{":method", "CONNECT", ":authority", host("prefix")}, 400},
			"CONNECT of a protocol":       {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", host("prefix"), ":path", "/admin"}, 400},
			"a header of the connection":  {[]string{":method", "GET", ":scheme", "https", ":authority", host("role"), ":path", "/", "connection", "x-role", "x-role", "admin"}, 400},
			"a header":                    {[]string{":method", "GET", ":scheme", "https", ":authority", host("role"), ":path", "/", "x-role", "admin"}, 403},
			"a header with capitals":      {[]string{":method", "GET", ":scheme", "https", ":authority", host("role"), ":path", "/", "X-Role", "admin"}, 400},
			"a header with an underscore": {[]string{":method", "GET", ":scheme", "https", ":authority", host("role"), ":path", "/", "x_role", "admin"}, 400},
			"a pseudo-header at the end":  {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), "a", "b", ":path", "/admin"}, 400},
			"a pseudo-header of our own":  {[]string{":method", "GET", ":scheme", "https", ":authority", host("prefix"), ":path", "/", ":role", "admin"}, 400},
			"a line in a header":          {[]string{":method", "GET", ":scheme", "https", ":authority", host("role"), ":path", "/", "a", "b\r\nx-role: admin"}, 400},
			"chunks":                      {[]string{":method", "POST", ":scheme", "https", ":authority", host("prefix"), ":path", "/", "transfer-encoding", "chunked"}, 400},
		} {
			g.sound(t, name, g.asks(row.fields...), row.want)
		}
	})
}
