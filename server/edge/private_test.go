package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// numbered is a service that tells each request which connection it came on, and
// counts connections that are open.
func numbered(t *testing.T, open *atomic.Int64, header string) string {
	var made atomic.Int64
	return rawUpstream(t, func(conn *net.TCPConn) {
		number := made.Add(1)
		open.Add(1)
		defer open.Add(-1)
		reader := bufio.NewReader(conn)
		for {
			first, err := reader.Peek(5)
			if err == nil && string(first) == "PROXY" {
				_, _ = reader.ReadString('\n')
			}
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			text := fmt.Sprint(number)
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", header, len(text), text)
		}
	})
}

// NTLM and Negotiate authenticate a connection: it must serve nobody else, and all
// requests of the visitor that it belongs to. It ends with the visitor's.
func TestConnectionAuthenticationIsNotShared(t *testing.T) {
	s := start(t)
	var open atomic.Int64
	s.serve("https://app."+domain, numbered(t, &open, ""))
	ask := func(client *http.Client, authorization string) string {
		_, got := get(t, client, "https://app."+domain, func(r *http.Request) {
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
		})
		return got
	}
	first, second, other := s.client("http/1.1"), s.client("http/1.1"), s.client("http/1.1")
	if ask(first, "") != "1" || ask(second, "Basic eA==") != "1" {
		t.Error("connections are not shared to begin with")
	}
	for range 3 {
		if got := ask(first, "NTLM TlRMTVNTUAABAAAA"); got != "2" {
			t.Errorf("the handshake came on connection %s", got)
		}
	}
	if got := ask(first, ""); got != "2" {
		t.Errorf("afterwards connection %s", got)
	}
	if got := ask(second, "negotiate YII="); got != "3" {
		t.Errorf("another visitor's handshake came on connection %s", got)
	}
	if got := ask(other, ""); got != "1" {
		t.Errorf("a stranger came on connection %s", got)
	}
	first.CloseIdleConnections()
	second.CloseIdleConnections()
	eventually(t, "private connections end", func() bool { return open.Load() == 1 })
}

// An application that embeds the agent, or an SDK, sees whose connection it has: a
// stream then serves one address only. The agent of a plain service does not care.
func TestStreamsThatShowTheVisitorServeOneAddress(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*member)
		want int64
	}{
		"our agent":   {func(*member) {}, 1},
		"embedded":    {func(m *member) { m.options.VisitorAddress = true }, 2},
		"another SDK": {func(m *member) { m.wire = "ngrok/2" }, 2},
	} {
		s := start(t)
		m := s.serve("http://app."+domain, numbered(t, new(atomic.Int64), ""), c.set)
		for _, address := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"} {
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
			conn, err := from.Dial("tcp", s.http)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		if n := m.opened.Load(); n != c.want {
			t.Errorf("%s: %d streams for two addresses, want %d", name, n, c.want)
		}
	}
}

func TestOfferedConnectionAuthenticationIsNotShared(t *testing.T) {
	s := start(t)
	var open atomic.Int64
	s.serve("https://app."+domain, numbered(t, &open, "WWW-Authenticate: NTLM\r\n"))
	client := s.client("http/1.1")
	_, one := get(t, client, "https://app."+domain)
	_, two := get(t, client, "https://app."+domain)
	_, three := get(t, client, "https://app."+domain)
	if one != "1" || two != "2" || three != "2" {
		t.Errorf("connections %s, %s, %s", one, two, three)
	}
}

// The PROXY header names one visitor's connection, so a stream serves that alone.
func TestProxyProtocolStreamsBelongToOneConnection(t *testing.T) {
	s := start(t)
	var open atomic.Int64
	s.serve("https://app."+domain, numbered(t, &open, ""), func(m *member) { m.options.ProxyProtocol = 1 })
	first, second := s.client("http/1.1"), s.client("http/1.1")
	var got []string
	for _, client := range []*http.Client{first, first, second, first} {
		_, text := get(t, client, "https://app."+domain)
		got = append(got, text)
	}
	if fmt.Sprint(got) != "[1 1 2 1]" {
		t.Errorf("connections %v", got)
	}
}

// Connections to a member end with it.
func TestMemberThatLeavesTakesItsConnections(t *testing.T) {
	s := start(t)
	var open atomic.Int64
	m := s.serve("https://app."+domain, numbered(t, &open, ""))
	get(t, s.client("http/1.1"), "https://app."+domain)
	if open.Load() != 1 {
		t.Fatalf("%d open", open.Load())
	}
	m.stop()
	eventually(t, "it is closed", func() bool { return open.Load() == 0 })
	if response, _ := get(t, s.client("http/1.1"), "https://app."+domain); response.StatusCode != 502 {
		t.Errorf("afterwards %d", response.StatusCode)
	}
}

// Streams that only wait for another request give way when the agent takes no more.
func TestIdleStreamsMakeRoom(t *testing.T) {
	s := start(t, trustLoopback, func(c *config) { c.ProxyProtocol.HTTP = true })
	var open atomic.Int64
	m := s.serve("http://app."+domain, numbered(t, &open, ""), func(m *member) { m.wire, m.limit = "ngrok/2", 1 })
	for i := range 3 { // three addresses, one stream
		conn := s.dial(s.http)
		say(t, conn, fmt.Sprintf("PROXY TCP4 192.0.2.%d 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: app.%s\r\n\r\n", i+1, domain))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		if body(t, response); response.StatusCode != 200 {
			t.Errorf("address %d: %d", i, response.StatusCode)
		}
	}
	if n := m.opened.Load(); n != 3 {
		t.Errorf("%d streams", n)
	}

	// Another endpoint of the same agent has the same limit.
	other := s.serve("http://other."+domain, numbered(t, &open, ""), func(m *member) { m.limit = 1 })
	other.streams = m.streams
	conn := s.dial(s.http)
	say(t, conn, "PROXY TCP4 192.0.2.1 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: other."+domain+"\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if body(t, response); response.StatusCode != 200 {
		t.Errorf("another endpoint: %d", response.StatusCode)
	}
}
