package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/postern-dev/postern"
)

// Behind a trusted proxy visitors share connections: what was said of one of them is not
// said of another.
func TestConnectionPhaseOfVisitorsBehindAProxy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path, trustLoopback)
		m := newMember(s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
		m.policy = compiled(t, postern.HTTP, "on_tcp_connect: [{actions: [{type: restrict-ips, config: {allow: [192.0.2.0/24]}}]}]")
		s.policedPool("http://app."+domain, m)
		for range 2 { // whoever comes first
			conn := s.dial(s.http)
			reader := bufio.NewReader(conn)
			for i := range 2 * mostClients {
				r, text := ask(t, conn, reader, fmt.Sprintf("GET / HTTP/1.1\r\nHost: app.%s\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", domain, i%200))
				if r.StatusCode != 200 || text != "in" {
					t.Fatalf("who may come in gets %d %q", r.StatusCode, text)
				}
			}
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
			must(t, err)
			if r, err := http.ReadResponse(reader, nil); err == nil {
				t.Errorf("who may not come in gets %s", r.Status)
			}
		}
	})
}

// mostClients is more than the visitors of one connection that are remembered.
const mostClients = 80

// Some proxies name their visitors with a port, or not at all. They are told apart all the
// same: a sign-in of one lets no other in by its address.
func TestVisitorsThatAProxyNamesWithTheirPort(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path, trustLoopback)
		m := newMember(s.upstream(func(http.ResponseWriter, *http.Request) {}))
		m.policy = compiled(t, postern.HTTP, `on_http_request: [{actions: [{type: basic-auth, config: {credentials: ["user:password"], grant_address: 8h}}]}]`)
		s.policedPool("http://app."+domain, m)
		conn := s.dial(s.http)
		reader := bufio.NewReader(conn)
		for _, row := range []struct {
			from, header string
			want         int
		}{
			{"198.51.100.1:5000", "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", 200},
			{"198.51.100.1:5001", "", 200},
			{"198.51.100.1", "", 200},
			{"198.51.100.2:5000", "", 401},
			{"[2001:db8::1]:5000", "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", 200},
			{"2001:db8::1", "", 200},
			{"[2001:db8::1]", "", 200},
			{"[2001:db8::2]:5000", "", 401},
			{"198.51.100.1:5000, 198.51.100.3:1", "", 401},
			{"unknown", "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", 200},
			{"unknown", "", 401},
			{"unknown, 127.0.0.2", "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", 200},
			{"unknown, 127.0.0.2", "", 401},
			{"127.0.0.3, 127.0.0.2", "Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", 200},
			{"127.0.0.3, 127.0.0.2", "", 200},
			{"", "", 401},
		} {
			if r, _ := ask(t, conn, reader, fmt.Sprintf("GET / HTTP/1.1\r\nHost: app.%s\r\nX-Forwarded-For: %s\r\n%s\r\n", domain, row.from, row.header)); r.StatusCode != row.want {
				t.Errorf("%s %q: %s, want %d", row.from, row.header, r.Status, row.want)
			}
		}
	})
}
