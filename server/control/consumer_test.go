package control_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

// gateways is one gateway, "stage", whose ports echo.
type gateways struct {
	mu     sync.Mutex
	joined []link.ConsumerIdentity
}

func (g *gateways) Admit(context.Context, link.Session, link.Hello) (link.Binder, link.Welcome, error) {
	return nil, link.Welcome{}, postern.Errorf(postern.CodeGatewayUnknown, "no connectors in this test")
}

func (g *gateways) Check(_ context.Context, who link.ConsumerIdentity, p link.GatewayPort) error {
	if p.Gateway != "stage" && p.Gateway != "pgw_1" {
		return postern.Errorf(postern.CodeGatewayUnknown, "no %s", p.Gateway)
	}
	if !who.Allows("stage", p.Port) {
		return postern.Errorf(postern.CodeAccessDenied, "not %d", p.Port)
	}
	return nil
}

func (g *gateways) Join(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort, st link.Stream, accepted func() error) error {
	if err := g.Check(ctx, who, p); err != nil {
		return err
	}
	g.mu.Lock()
	g.joined = append(g.joined, who)
	g.mu.Unlock()
	defer st.Close()
	if err := accepted(); err != nil {
		return err
	}
	_, err := io.Copy(st, st)
	return err
}

// testStream is a connection in memory that can be reset in words.
type testStream struct {
	net.Conn
	mu  sync.Mutex
	why *postern.Error
}

func (s *testStream) CloseWrite() error { return s.Conn.(*testkit.PipeConn).CloseWrite() }

func (s *testStream) Reset(why *postern.Error) {
	s.mu.Lock()
	s.why = why
	s.mu.Unlock()
	_ = s.Conn.(*testkit.PipeConn).SetLinger(0)
	_ = s.Close()
}

func (s *testStream) reason() *postern.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// consume joins a port over a new stream. The stream's near end is for the test; over
// is closed when Join has returned.
func consume(t *testing.T, c *connected, p link.GatewayPort) (near net.Conn, far *testStream, over chan error) {
	t.Helper()
	near, conn := testkit.Pipe()
	far, over = &testStream{Conn: conn}, make(chan error, 1)
	accepted := make(chan struct{})
	go func() {
		over <- c.Binder.(link.Consumer).Join(t.Context(), p, far, func() error { close(accepted); return nil })
	}()
	select {
	case <-accepted:
	case err := <-over:
		t.Fatalf("Join = %v", err)
	}
	_ = near.SetDeadline(time.Now().Add(20 * time.Second))
	return near, far, over
}

// A credential that is narrowed reaches what it still may, and nothing else: new
// streams are refused and those that are open end, at once.
func TestNarrowedConsumers(t *testing.T) {
	g := &gateways{}
	w := newWorld(t, func(c *control.Config) { c.Gateways = g })
	w.service.credentials["alpha"] = limited(t, "cr_alpha", "access:stage:8081-8082")
	c := w.connect(link.Hello{Token: "alpha"})
	consumer := c.Binder.(link.Consumer)
	kept := link.GatewayPort{Gateway: "stage", Network: postern.TCP, Port: 8081}
	lost := link.GatewayPort{Gateway: "pgw_1", Network: postern.TCP, Port: 8082} // by another name of the gateway
	for p, code := range map[link.GatewayPort]postern.Code{
		kept: "", lost: "",
		{Gateway: "stage", Network: postern.TCP, Port: 8083}: postern.CodeAccessDenied,
		{Gateway: "other", Network: postern.TCP, Port: 8081}: postern.CodeGatewayUnknown,
	} {
		if err := consumer.Check(t.Context(), p); !postern.HasCode(err, code) && (err != nil || code != "") {
			t.Errorf("Check(%v) = %v, want %q", p, err, code)
		}
	}
	keptNear, keptFar, keptOver := consume(t, c, kept)
	lostNear, lostFar, lostOver := consume(t, c, lost)
	w.narrow("alpha", "access:stage:8081")
	<-lostOver
	if why := lostFar.reason(); why == nil || why.Code != postern.CodeAccessDenied {
		t.Errorf("the stream that is not covered ended with %v", why)
	}
	if err := consumer.Join(t.Context(), lost, nil, nil); !postern.HasCode(err, postern.CodeAccessDenied) {
		t.Errorf("a new one: %v", err)
	}
	if _, err := keptNear.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(keptNear, make([]byte, 1)); err != nil || keptFar.reason() != nil {
		t.Errorf("the stream that is covered: %v, %v", err, keptFar.reason())
	}
	_, _ = keptNear.Close(), lostNear.Close()
	<-keptOver
	if who := g.joined[0]; who.Credential != "cr_alpha" || who.Account != "ac_one" || who.RemoteAddr == "" || who.Session == "" {
		t.Errorf("the gateway heard of %+v", who)
	}
}

// A server without gateways says so, and leaves the stream to the caller.
func TestNoGateways(t *testing.T) {
	c := newWorld(t).connect(link.Hello{Token: "alpha"})
	consumer := c.Binder.(link.Consumer)
	if err := consumer.Check(t.Context(), link.GatewayPort{}); !postern.HasCode(err, postern.CodeGatewayUnknown) {
		t.Errorf("Check = %v", err)
	}
	if err := consumer.Join(t.Context(), link.GatewayPort{}, nil, nil); !postern.HasCode(err, postern.CodeGatewayUnknown) {
		t.Errorf("Join = %v", err)
	}
}
