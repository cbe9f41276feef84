package edge_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// B5-4: an edge that has handed over accepts nothing, ends HTTP connections with their
// next answer and leaves everything else alone.
func TestHandOver(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(saying("hello")))
	s.serve("http://app."+domain, s.upstream(saying("hello")))
	port, _ := s.tcpPort(rawUpstream(t, echo))
	kept := s.dial(s.http)
	answers := bufio.NewReader(kept)
	response, _ := ask(t, kept, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	if response.Close {
		t.Fatal("closed before the hand-over")
	}
	http2 := s.client("h2")
	if response, _ := get(t, http2, "https://app."+domain); response.ProtoMajor != 2 {
		t.Fatal(response.Proto)
	}
	stream := s.dial(port)
	echoed(t, stream, "before")

	refused := errors.New("the other one is gone")
	if err := s.edge.HandOver(func(edge.PortSockets) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	second := s.dial(port)
	echoed(t, second, "nothing has changed")
	must(t, second.Close())

	var given edge.PortSockets
	must(t, s.edge.HandOver(func(ports edge.PortSockets) error { given = ports; return nil }))
	if len(given.TCP) != 1 {
		t.Errorf("%d ports", len(given.TCP))
	}
	for _, addr := range []string{s.http, s.https, s.agent, port} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s still answers", addr)
			}
			conn.Close()
		}
	}
	if n := s.edge.Visitors(); n < 3 { // kept, HTTP/2 and the stream
		t.Errorf("%d visitors", n)
	}
	echoed(t, stream, "after")
	response, text := ask(t, kept, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	if !response.Close || text != "hello" {
		t.Errorf("the next answer: close %v, %q", response.Close, text)
	}
	if response, text := get(t, http2, "https://app."+domain); response.StatusCode != http.StatusOK || text != "hello" {
		t.Errorf("HTTP/2: %s %q", response.Status, text)
	}
	_ = stream.Close()
	eventually(t, "the visitors have gone", func() bool { return s.edge.Visitors() == 0 })
	must(t, s.edge.OpenPort(postern.TCP, portOf(t, port))) // the process that has taken over opens it
	s.edge.ClosePort(postern.TCP, portOf(t, port), false)
}

func echoed(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(conn, text)
	must(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(conn, got)
	must(t, err)
	if string(got) != text {
		t.Errorf("%q for %q", got, text)
	}
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	must(t, err)
	return portNumber(t, text)
}

// Ports that were handed over are served when the edge is ready, and closed when nobody
// turns out to need them.
func TestAdoptedPorts(t *testing.T) {
	s := start(t, func(c *edge.Config) { c.Recent = new(route.Recent) })
	var at [2]uint16
	for i := range at {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		at[i] = portOf(t, ln.Addr().String())
		s.edge.AdoptPorts(edge.PortSockets{TCP: map[uint16]net.Listener{at[i]: ln}})
	}
	early, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at[0]))))
	must(t, err)
	defer early.Close()
	must(t, s.edge.OpenPort(postern.TCP, at[0]))
	s.add(routeTo("tcp://tcp."+domain+":"+strconv.Itoa(int(at[0])), &owner{members: []*member{newMember(rawUpstream(t, echo))}}))
	s.edge.ServeAdopted()
	echoed(t, early, "was waiting in the queue")
	eventually(t, "the port that nobody opened is closed", func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at[1]))))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	s.edge.ClosePort(postern.TCP, at[0], false)
}
