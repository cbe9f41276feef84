package access_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

// stream is a pipe's end as a link.Stream whose far end may have been refused.
type stream struct {
	*testkit.PipeConn
	why error // what Read and Write fail with
}

func (s *stream) Read(p []byte) (int, error) {
	if s.why != nil {
		return 0, s.why
	}
	return s.PipeConn.Read(p)
}

func (s *stream) Reset(*postern.Error) {
	_ = s.SetLinger(0)
	_ = s.Close()
}

// gateways is a session to a server with the gateways "stage" and "other", whose ports
// 8081 and 53 answer each line or datagram with the port's name before it.
type gateways struct {
	mu      sync.Mutex
	refuse  map[string]*postern.Error // by port's name
	streams sync.WaitGroup
	dialled []string
}

func (g *gateways) Check(_ context.Context, p link.GatewayPort) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if why := g.refuse[name(p)]; why != nil {
		return why
	}
	switch {
	case p.Gateway != "stage" && p.Gateway != "other":
		return postern.Errorf(postern.CodeGatewayUnknown, "there is no gateway %s", p.Gateway)
	case p.Port != 8081 && p.Port != 53:
		return postern.Errorf(postern.CodeGatewayPortClosed, "nobody offers %d", p.Port)
	}
	return nil
}

func (g *gateways) set(p string, why *postern.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse[p] = why
}

func name(p link.GatewayPort) string {
	return p.Gateway + ":" + map[uint16]string{8081: "8081", 53: "53", 1: "1", 9: "9"}[p.Port] + "/" + string(p.Network)
}

func (g *gateways) Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	if err := g.Check(ctx, p); err != nil {
		return nil, err
	}
	return g.DialEarly(ctx, p)
}

func (g *gateways) DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	why := g.Check(ctx, p)
	near, far := testkit.Pipe()
	g.mu.Lock()
	g.dialled = append(g.dialled, name(p))
	g.mu.Unlock()
	if why != nil {
		_ = far.Close()
		return &stream{PipeConn: near.(*testkit.PipeConn), why: why}, nil
	}
	g.streams.Go(func() { answer(far.(*testkit.PipeConn), p) })
	return &stream{PipeConn: near.(*testkit.PipeConn)}, nil
}

func answer(conn *testkit.PipeConn, p link.GatewayPort) {
	defer conn.Close()
	if p.Network == postern.TCP {
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			_, _ = io.WriteString(conn, name(p)+" "+lines.Text()+"\n")
		}
		_, _ = io.WriteString(conn, "the end\n")
		return
	}
	datagrams := flow.NewReader(conn)
	defer datagrams.Release()
	for payload, err := datagrams.Next(); err == nil; payload, err = datagrams.Next() {
		_, _ = conn.Write(flow.Append(nil, append([]byte(name(p)+" "), payload...)))
	}
}

// opened is a running Access.
type opened struct {
	*gateways
	at     map[string]string // where a listener is, by where it leads
	cancel context.CancelFunc
	done   chan error
}

// open runs an Access until the test's end.
func open(t *testing.T, change func(*access.Config)) *opened {
	t.Helper()
	g := &gateways{refuse: map[string]*postern.Error{}}
	listening := make(chan [2]string, 16)
	c := access.Config{Dialer: g, Gateway: "stage", Logger: testkit.Logger(t),
		Opened: func(at net.Addr, to string) { listening <- [2]string{to, at.String()} }}
	change(&c)
	a, err := access.Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := &opened{gateways: g, at: map[string]string{}, cancel: cancel, done: make(chan error, 1)}
	go func() { o.done <- a.Run(ctx) }()
	for range len(c.Ports) + len(c.Proxies) {
		select {
		case l := <-listening:
			o.at[l[0]] = l[1]
		case err := <-o.done:
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		cancel()
		if err := <-o.done; err != nil {
			t.Error(err)
		}
		g.streams.Wait()
	})
	return o
}

func port(t *testing.T, text string) access.Port {
	t.Helper()
	p, err := access.ParsePort("stage", text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dial connects to a listener.
func (o *opened) dial(t *testing.T, network, to string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout(network, o.at[to], 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// cut connects, and tells whether the connection was cut before it brought anything.
func (o *opened) cut(t *testing.T, to string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", o.at[to], 10*time.Second)
	if err != nil {
		return true
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	rest, err := io.ReadAll(conn)
	return err != nil && len(rest) == 0
}

// say sends text and gives what comes next.
func say(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatalf("after %q: %v", text, err)
	}
	return string(b[:n])
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")
