package session_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

// consumer is a session of a server whose gateways have one port, which echoes.
type consumer struct{ *client }

func (c consumer) Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	if err := c.Check(ctx, p); err != nil {
		return nil, err
	}
	near, far := testkit.Pipe()
	go echo(ctx, link.Header{}, &stream{PipeConn: far.(*testkit.PipeConn)})
	return &stream{PipeConn: near.(*testkit.PipeConn)}, nil
}

func (c consumer) DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return c.Dial(ctx, p)
}

func (c consumer) Check(_ context.Context, p link.GatewayPort) error {
	if c.Cause() != nil {
		return postern.Errorf(postern.CodeLinkLost, "the session has ended")
	}
	if p.Port != 8081 {
		return postern.Errorf(postern.CodeAccessDenied, "port %d", p.Port)
	}
	return nil
}

// asConsumers has a server's sessions reach gateways.
func asConsumers(s *server) session.Connect {
	return func(ctx context.Context, h link.Hello, c session.Callbacks) (session.Client, link.Welcome, error) {
		cl, welcome, err := s.Connect(ctx, h, c)
		if err != nil {
			return nil, welcome, err
		}
		return consumer{cl.(*client)}, welcome, nil
	}
}

var port = link.GatewayPort{Gateway: "stage", Network: postern.TCP, Port: 8081}

func exchange(t *testing.T, st link.Stream) {
	t.Helper()
	if _, err := st.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(st, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: asConsumers(s)})
		for _, dial := range []func(context.Context, link.GatewayPort) (link.Stream, error){r.Dial, r.DialEarly} {
			st, err := dial(t.Context(), port)
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, st)
			_ = st.Close()
		}
		other := port
		other.Port = 1
		if _, err := r.Dial(t.Context(), other); !postern.HasCode(err, postern.CodeAccessDenied) {
			t.Errorf("Dial of another port = %v", err)
		}
		if err := r.Check(t.Context(), other); !postern.HasCode(err, postern.CodeAccessDenied) {
			t.Errorf("Check of another port = %v", err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if _, err := r.Dial(t.Context(), port); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("Dial after the end = %v", err)
		}
	})
}

// A Dial waits for the session that is on its way, no longer than its context.
func TestDialWaitsForASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: asConsumers(s), Random: worstJitter})
		synctest.Wait()
		s.kill(errRefused)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Dial(ctx, port); !postern.HasCode(err, postern.CodeServerUnreachable) {
			t.Errorf("Dial without a server = %v", err)
		}
		time.AfterFunc(3*time.Second, s.restart)
		st, err := r.Dial(t.Context(), port)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, st)
		_ = st.Close()
		_ = r.stop()
	})
}

// What is refused for good is told to those who wait.
func TestDialOfARefusedAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{down: errBadToken}
		r := run(t, session.Config{Connect: asConsumers(s)})
		if _, err := r.Dial(t.Context(), port); !postern.HasCode(err, postern.CodeTokenInvalid) {
			t.Errorf("Dial = %v", err)
		}
		<-r.done
	})
}

// A link without such streams says so.
func TestDialOverAnotherLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, session.Config{Connect: (&server{}).Connect})
		if _, err := r.Dial(t.Context(), port); !postern.HasCode(err, postern.CodeServerTooOld) {
			t.Errorf("Dial = %v", err)
		}
		_ = r.stop()
	})
}

// The agent's end waits for streams that it has dialled, as for visitors'.
func TestDrainWaitsForDialledStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, session.Config{Connect: asConsumers(&server{}), DrainTimeout: time.Minute})
		st, err := r.Dial(t.Context(), port)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Second, func() {
			exchange(t, st)
			_ = st.Close()
			st.Reset(nil)
		})
		start := time.Now()
		_ = r.stop()
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("the drain took %v", took)
		}
	})
}
