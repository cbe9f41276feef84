package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// withBody, among fields, stands for a body; what is behind it is trailers.
const withBody = "(body)"

// cutFields gives the head's fields and those behind the body, which are nil without one.
func cutFields(fields []string) (head, tail []string) {
	at := slices.Index(fields, withBody)
	if at < 0 {
		return fields, nil
	}
	return fields[:at], append([]string{}, fields[at+1:]...)
}

// asks sends a request of these fields over HTTP/2 and gives the status, 400 where the
// stream was cut.
func (g *guarded) asks(fields ...string) (status int) {
	g.t.Helper()
	name := "open." + domain
	for i := 0; i+1 < len(fields); i++ {
		if fields[i] == ":authority" && strings.HasSuffix(fields[i+1], "."+domain) {
			_, host, found := strings.Cut(fields[i+1], "@")
			if !found {
				host = fields[i+1]
			}
			name = strings.TrimSuffix(strings.ToLower(host), ".")
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
	head, tail := cutFields(fields)
	send := func(fields []string, last bool) {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		must(g.t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: last}))
	}
	send(head, tail == nil)
	if tail != nil {
		_ = f.WriteData(1, len(tail) == 0, []byte("x"))
	}
	if len(tail) > 0 {
		send(tail, true)
	}
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

// fieldTricks are requests over HTTP/2 that want more than they say.
var fieldTricks = []struct {
	name, guard, method, path string
	fields                    []string // behind the pseudo-headers
	want                      int
}{
	{"a header twice", "role", "GET", "/", []string{"x-role", "a", "x-role", "admin"}, 403},
	{"a header with a blank behind its name", "role", "GET", "/", []string{"x-role ", "admin"}, 400},
	{"a header with a blank before its name", "role", "GET", "/", []string{" x-role", "admin"}, 400},
	{"a header with a colon", "role", "GET", "/", []string{"x-role:", "admin"}, 400},
	{"a header with a NUL in its name", "role", "GET", "/", []string{"x-role\x00", "admin"}, 400},
	{"a header without a name", "role", "GET", "/", []string{"", "admin"}, 400},
	{"a NUL in a value", "role", "GET", "/", []string{"a", "b\x00x-role: admin"}, 400},
	{"a CR in a value", "role", "GET", "/", []string{"a", "b\rx-role: admin"}, 400},
	{"a LF in a value", "role", "GET", "/", []string{"a", "b\nx-role: admin"}, 400},
	{"a tab in a value", "role", "GET", "/", []string{"a", "b\tx-role: admin"}, 200},
	{"a header with a dot", "role", "GET", "/", []string{"x.role", "admin"}, 400},
	{"a header with a dash, where an underscore is meant", "spelled", "GET", "/", []string{"x-role", "admin"}, 400},
	{"the policy's header, of the connection", "open", "GET", "/", []string{"connection", "x-saw"}, 400},
	{"a header that the connection keeps", "role", "GET", "/", []string{"keep-alive", "x-role"}, turnedAway},
	{"another connection's header", "role", "GET", "/", []string{"proxy-connection", "x-role"}, turnedAway},
	{"TE of another kind", "role", "GET", "/", []string{"te", "gzip"}, turnedAway},
	{"an upgrade", "prefix", "GET", "/admin", []string{"upgrade", "websocket"}, turnedAway},
	{"a removed header", "strip", "GET", "/", []string{"x-role", "admin", "x_role", "admin"}, 200},
	{"a replaced header", "replace", "GET", "/", []string{"x-role", "admin", "x.role", "admin"}, 200},
	{"a header behind the body", "role", "POST", "/", []string{"trailer", "x-role", withBody, "x-role", "admin"}, 400},
	{"a header with an underscore behind the body", "role", "POST", "/", []string{"trailer", "x_role", withBody, "x_role", "admin"}, 400},
	{"a removed header behind the body", "strip", "POST", "/", []string{"trailer", "x-role", withBody, "x-role", "admin"}, 200},
	{"a removed header with an underscore behind the body", "strip", "POST", "/", []string{"trailer", "x_role", withBody, "x_role", "admin"}, 200},
	{"a replaced header behind the body", "replace", "POST", "/", []string{"trailer", "x-role", withBody, "x-role", "admin"}, 200},
	{"a replaced header with an underscore behind the body", "replace", "POST", "/", []string{"trailer", "x_role", withBody, "x_role", "admin"}, 200},
	{"a header behind the body that nobody has announced", "role", "POST", "/", []string{withBody, "x-role", "admin"}, 200},
	{"a pseudo-header behind the body", "prefix", "POST", "/", []string{withBody, ":path", "/admin"}, 400},
	{"a cookie", "cookie", "GET", "/", []string{"cookie", "role=admin"}, 403},
	{"a cookie among crumbs", "cookie", "GET", "/", []string{"cookie", "a=b", "cookie", "role=admin", "cookie", "c=d"}, 403},
	{"a cookie beside a broken one", "cookie", "GET", "/", []string{"cookie", "a b=\"c", "cookie", "role=admin"}, 403},
	{"a cookie that is broken", "cookie", "GET", "/", []string{"cookie", "role=a\"b"}, 403},
	{"a user agent", "agent", "GET", "/", []string{"user-agent", "bad/1"}, 403},
	{"a second user agent", "agent", "GET", "/", []string{"user-agent", "good/1", "user-agent", "bad/1"}, 400},
	{"a user agent with an underscore", "agent", "GET", "/", []string{"user_agent", "bad/1"}, 400},
	{"a type", "kind", "GET", "/", []string{"content-type", "text/bad"}, 403},
	{"a second type", "kind", "GET", "/", []string{"content-type", "text/good", "content-type", "text/bad"}, 400},
	{"a parameter", "query", "GET", "/?debug=1", []string{}, 403},
	{"a parameter, encoded", "query", "GET", "/?%64ebug", []string{}, 403},
	{"a parameter behind a semicolon", "query", "GET", "/?a=b;debug=1", []string{}, 400},
	{"a parameter beside a broken one", "query", "GET", "/?debug=1&a=%zz", []string{}, 400},
	{"a parameter of a list", "query", "GET", "/?debug[]=1", []string{}, 400},
	{"a parameter with a NUL", "query", "GET", "/?debug%00", []string{}, 400},
	{"a method", "method", "DELETE", "/", []string{}, 403},
	{"a method in small letters", "method", "delete", "/", []string{}, 400},
	{"a method with a blank", "method", "DELETE /", "/", []string{}, 400},
	{"another method in a header", "method", "POST", "/", []string{"x-http-method-override", "DELETE"}, 400},
	{"another method in a header with an underscore", "method", "POST", "/", []string{"x_http_method_override", "DELETE"}, 400},
	{"another target in a header", "prefix", "GET", "/", []string{"x-original-url", "/admin"}, 400},
	{"no credentials", "gate", "GET", "/", []string{}, 401},
	{"two kinds of credentials", "gate", "GET", "/", []string{"authorization", "Basic dXNlcjp3cm9uZw==", "authorization", "Basic eDp5"}, 400},
	{"credentials with an underscore", "gate", "GET", "/", []string{"postern_authorization", "Basic dXNlcjpwYXNzd29yZA=="}, 401},
	{"a preflight", "gate", "OPTIONS", "/", []string{"origin", "https://a.example", "access-control-request-method", "DELETE"}, 200},
	{"a preflight with more", "gate", "OPTIONS", "/", []string{"origin", "https://a.example", "access-control-request-method", "DELETE", "cookie", "a=b", "authorization", "Bearer x", "x-http-method-override", "GET", "x-original-url", "/admin"}, 200},
	{"a preflight with a body", "gate", "OPTIONS", "/", []string{"origin", "https://a.example", "access-control-request-method", "DELETE", withBody}, 401},
	{"a preflight with trailers", "gate", "OPTIONS", "/", []string{"origin", "https://a.example", "access-control-request-method", "DELETE", "trailer", "cookie", withBody, "cookie", "a=b"}, 401},
	{"a preflight with a length", "gate", "OPTIONS", "/", []string{"origin", "https://a.example", "access-control-request-method", "DELETE", "content-length", "1", withBody}, 401},
	{"an address in a header", "address", "GET", "/", []string{"x-forwarded-for", "198.51.100.7"}, 403},
	{"no token", "token", "GET", "/", []string{}, 401},
	{"a token", "token", "GET", "/", []string{"x-token", "T"}, 200},
	{"a second token", "token", "GET", "/", []string{"x-token", "T", "x-token", "forged"}, 401},
	{"a token with an underscore beside", "token", "GET", "/", []string{"x-token", "T", "x_token", "forged"}, 400},
	{"a token, and one behind the body", "token", "POST", "/", []string{"x-token", "T", "trailer", "x-token", withBody, "x-token", "forged"}, 400},
	{"two lengths", "prefix", "POST", "/", []string{"content-length", "1", "content-length", "50", withBody}, 400},
	{"a length that is too short", "prefix", "POST", "/", []string{"content-length", "0", withBody}, harmless},
	{"a length that is too long", "prefix", "POST", "/", []string{"content-length", "50", withBody}, harmless},
	{"a length with a sign", "prefix", "POST", "/", []string{"content-length", "+1", withBody}, turnedAway},
	{"a length with an underscore", "prefix", "POST", "/", []string{"content_length", "50", withBody}, 200},
}

// Nothing that is smuggled into a request over HTTP/2 gets past a policy.
func TestFieldsPastAPolicy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		g := guard(t, path)
		for _, row := range fieldTricks {
			fields := []string{":method", row.method, ":scheme", "https", ":authority", row.guard + "." + domain, ":path", row.path}
			for _, field := range row.fields {
				if field == "T" {
					field = g.token
				}
				fields = append(fields, field)
			}
			g.sound(t, row.name, g.asks(fields...), row.want)
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
			"CONNECT with a path":         {[]string{":method", "CONNECT", ":scheme", "https", ":authority", host("prefix"), ":path", "/admin"}, 400},
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
