package expression_test

import (
	"slices"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

// An expression asks for what it names, and for nothing else.
func TestNothingElseIsAskedFor(t *testing.T) {
	for text, want := range map[string][]string{
		`req.method == "GET"`:                                nil,
		`conn.client_ip == "192.0.2.7"`:                      {"client_ip"},
		`inCidrRange(conn.client_ip, "192.0.2.0/24")`:        {"client_ip"},
		`req.method == "GET" || conn.tls.sni == ""`:          nil,
		`req.method == "PUT" && conn.tls.sni == ""`:          nil,
		`conn.client_port == 5555 && conn.server_port == 22`: {"client_port", "server_port"},
		`has(conn.tls)`: {"tls"},
	} {
		var asked []string
		s := scope()
		s.Conn = &object{connection().fields, &asked}
		s.Endpoint, s.Response = unasked{t}, unasked{t}
		s.Secret, s.Now = nil, nil
		_, _ = mustCompile(expression.Response, text).True(s)
		if !slices.Equal(asked, want) {
			t.Errorf("%s asked conn for %q, not %q", text, asked, want)
		}
	}
}

// unasked is an Object that nobody may ask for anything.
type unasked struct{ t *testing.T }

func (u unasked) Field(name string) any {
	u.t.Errorf("somebody asked for %s", name)
	return nil
}

// countedMap is a Map that counts.
type countedMap struct{ got, listed int }

func (m *countedMap) Get(name string) any {
	m.got++
	if name == "Accept" || name == "accept" {
		return []string{"text/html"}
	}
	return nil
}

func (m *countedMap) Names() []string {
	m.listed++
	return []string{"Accept"}
}

// A Map is looked into, not made whole.
func TestMapsAreLookedInto(t *testing.T) {
	for text, listed := range map[string]int{
		`req.headers["accept"][0] == "text/html"`: 0, `hasReqHeader("accept") && !hasReqHeader("x")`: 0, `getReqHeader("accept") == ["text/html"]`: 0,
		`"accept" in req.headers`: 0, `has(req.headers.accept)`: 0, `has(req.headers["accept"])`: 0,
		`size(req.headers) == 1`: 1, `req.headers.exists(k, k == "Accept")`: 2, `req.headers == {"Accept": ["text/html"]}`: 1, `req.headers.encodeJson() == '{"Accept":["text/html"]}'`: 4,
	} {
		headers := &countedMap{}
		s := &expression.Scope{Request: fieldsOf(of{"headers": headers})}
		if ok, err := mustCompile(expression.Request, text).True(s); !ok || err != nil || headers.listed > listed {
			t.Errorf("%s: %v, %v; listed %d times", text, ok, err, headers.listed)
		}
	}
}

func TestSimpleExpressionsAllocateLittle(t *testing.T) {
	s := scope()
	for text, most := range map[string]float64{
		`req.method == "GET"`: 1, `conn.client_port == 5555`: 1, `conn.client_ip == "192.0.2.7"`: 2,
		`req.method == "GET" && req.url.path.startsWith("/api/") && !(conn.client_ip in ["203.0.113.1", "203.0.113.2"])`: 4,
	} {
		x := mustCompile(expression.Request, text)
		if got := testing.AllocsPerRun(100, func() { _, _ = x.True(s) }); got > most {
			t.Errorf("%s allocates %v times", text, got)
		}
	}
}
