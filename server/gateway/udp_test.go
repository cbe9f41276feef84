package gateway_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
	"github.com/postern-dev/postern/server/gateway"
)

// sockets are this machine's, on ports of its choice.
type sockets struct {
	*network
	udp chan net.Addr
}

func (s sockets) ListenUDP(context.Context, netip.AddrPort) (net.PacketConn, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err == nil {
		s.udp <- conn.LocalAddr()
	}
	return conn, err
}

// answerDatagrams sends every datagram back.
func answerDatagrams(conn net.Conn) {
	reader, writer := flow.NewReader(conn), flow.NewWriter(conn)
	defer reader.Release()
	for {
		payload, err := reader.Next()
		if err != nil {
			return
		}
		if _, err := writer.Write(payload); err != nil {
			return
		}
	}
}

// A source's datagrams are one flow over one connector, whatever the port of TCP is.
func TestUDP(t *testing.T) {
	at := make(chan net.Addr, 1)
	w := newWorld(t, func(_ *rows, c *gateway.Config) { c.Sockets = sockets{c.Sockets.(*network), at} })
	c := w.connect("203.0.113.1:1000", "1", 5353)
	c.mu.Lock()
	c.target = answerDatagrams
	c.mu.Unlock()
	if _, err := c.binder.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: "udp", Port: 5353}, ForwardsTo: "192.168.0.3:53"}); err != nil {
		t.Fatal(err)
	}
	server := <-at
	for range 2 {
		conn, err := net.Dial("udp", server.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		for _, size := range []int{1, 0, 1400, 9000} {
			sent, got := make([]byte, size), make([]byte, 65536)
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(got); err != nil || n != size {
				t.Fatalf("%d bytes of %d, %v", n, size, err)
			}
		}
		_ = conn.Close()
	}
	if c.count() != 2 {
		t.Errorf("%d streams for two sources", c.count())
	}
	w.edit(func(r *rows) { r.gateways = nil })
	<-c.Done()
	w.runtime.Close(postern.Errorf(postern.CodeLinkDraining, "the end"))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.records) != 2 || w.records[0].BytesIn != 10401 || w.records[0].BytesOut != 10401 || w.records[0].Network != "udp" {
		t.Errorf("%+v", w.records)
	}
}

// A port of UDP waits for a connector as one of TCP does.
func TestUDPHold(t *testing.T) {
	at := make(chan net.Addr, 1)
	w := newWorld(t, func(_ *rows, c *gateway.Config) { c.Sockets = sockets{c.Sockets.(*network), at} })
	offer := func() *connector {
		c := w.connect("203.0.113.1:1000", "")
		c.target = answerDatagrams
		if _, err := c.binder.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: "udp", Port: 5353}, ForwardsTo: "192.168.0.3:53"}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	offer().Close(postern.Errorf(postern.CodeLinkLost, "restarts"))
	conn, err := net.Dial("udp", (<-at).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, "question"); err != nil {
		t.Fatal(err)
	}
	offer()
	answer := make([]byte, 100)
	if n, err := conn.Read(answer); err != nil || !slices.Equal(answer[:n], []byte("question")) {
		t.Errorf("%q, %v", answer[:n], err)
	}
}
