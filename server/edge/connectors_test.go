package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

// doors is an edge.Connectors that answers with what it was told, and whose sessions echo.
type doors struct{}

func (doors) Named(host postern.Hostname) bool { return host == "gateway."+domain }

func (doors) Wanted(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/sg_") }

func (doors) Connect(w http.ResponseWriter, r *http.Request, from netip.Addr, plain bool, take func() (net.Conn, error)) (func(context.Context), error) {
	switch {
	case r.URL.Path == "/refused":
		return nil, postern.Errorf(postern.CodeRequestInvalid, "not so")
	case r.Header.Get("Upgrade") == "":
		fmt.Fprintf(w, "from %s plain %t", from, plain)
		return nil, nil
	}
	conn, err := take()
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	return func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		_, _ = io.Copy(conn, conn)
	}, nil
}

func withConnectors(c *config) { c.Connectors = doors{} }

// Requests for gateways reach their handler, in the clear too, with what trusted proxies
// say and with nothing that others say.
func TestRequestsOfConnectors(t *testing.T) {
	forwarded := "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
	for name, c := range map[string]struct {
		trust   func(*config)
		request string
		want    string
	}{
		"in the clear":         {func(*config) {}, "GET /sg_1 HTTP/1.1\r\nHost: gateway." + domain + "\r\n", "from 127.0.0.1 plain true"},
		"who is not believed":  {func(*config) {}, "GET /sg_1 HTTP/1.1\r\nHost: gateway." + domain + "\r\n" + forwarded, "from 127.0.0.1 plain true"},
		"behind TLS elsewhere": {trustLoopback, "GET /sg_1 HTTP/1.1\r\nHost: gateway." + domain + "\r\n" + forwarded, "from 203.0.113.9 plain false"},
		"behind nothing":       {trustLoopback, "GET /sg_1 HTTP/1.1\r\nHost: gateway." + domain + "\r\nX-Forwarded-For: 203.0.113.9\r\n", "from 203.0.113.9 plain true"},
		"the last word counts": {trustLoopback, "GET /sg_1 HTTP/1.1\r\nHost: gateway." + domain + "\r\nX-Forwarded-Proto: https, http\r\n", "from 127.0.0.1 plain true"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, withConnectors, c.trust)
			if response := s.raw(c.request + "\r\n"); response.StatusCode != 200 || body(t, response) != c.want {
				t.Errorf("%s, want %q", response.Status, c.want)
			}
		})
	}
	s := start(t, withConnectors)
	s.serve("https://taken."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, protocol := range []string{"h2", "http/1.1"} {
		conn := s.dialTLS("gateway."+domain, protocol)
		response, text := get(t, s.connected(conn, protocol), "https://gateway."+domain+"/")
		if response.StatusCode != 200 || text != "from 127.0.0.1 plain false" {
			t.Errorf("%s: %s, %q", protocol, response.Status, text)
		}
	}
	taken := func() *http.Client { return s.connected(s.dialTLS("taken."+domain, "http/1.1"), "http/1.1") }
	if response, _ := get(t, taken(), "https://gateway."+domain+"/sg_1"); response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("on a tenant's connection: %s", response.Status)
	}
	if response, _ := get(t, taken(), "https://taken."+domain+"/sg_1"); response.StatusCode != http.StatusTeapot {
		t.Errorf("an endpoint's own path: %s", response.Status)
	}
	if response := s.raw("GET /refused HTTP/1.1\r\nHost: gateway." + domain + "\r\n\r\n"); response.StatusCode != 400 {
		t.Errorf("refused: %s", response.Status)
	}
}

// A session outlives its request, counts as an agent's, and ends with the edge.
func TestSessionsOfConnectors(t *testing.T) {
	s := start(t, withConnectors)
	for name, dial := range map[string]func() net.Conn{
		"TLS":          func() net.Conn { return s.dialTLS("gateway." + domain) },
		"in the clear": func() net.Conn { return s.dial(s.http) },
	} {
		for _, host := range []string{"gateway." + domain, "backend"} {
			if name == "TLS" && host == "backend" {
				continue
			}
			conn := dial()
			_, err := io.WriteString(conn, "GET /sg_1 HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nahead")
			must(t, err)
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			must(t, err)
			echo := make([]byte, 5)
			_, err = io.ReadFull(in, echo)
			if response.StatusCode != 101 || err != nil || string(echo) != "ahead" {
				t.Errorf("%s, %s: %s, %q, %v", name, host, response.Status, echo, err)
			}
			if n := s.edge.Visitors(); n != 0 {
				t.Errorf("%d visitors", n)
			}
			must(t, conn.Close())
		}
	}
}
