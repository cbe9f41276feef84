package flow_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay/flow"
)

// A service that is down is no end: each report of it is counted, and when it is back on
// its port the same flow reaches it.
func TestServiceGoesAndReturns(t *testing.T) {
	service := loopback(t, "127.0.0.1:0")
	at := service.LocalAddr().String()
	go echo(service)
	near, there := testkit.Pipe()
	counters := new(flow.Counters)
	over := make(chan flow.Result, 1)
	go func() { over <- flow.Relay(context.Background(), there, dial(t, at), flow.Options{Counters: counters}) }()
	reader, writer := flow.NewReader(near), flow.NewWriter(near)
	ask := func(text string) {
		t.Helper()
		if _, err := writer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if p, err := reader.Next(); err != nil || string(p) != text {
			t.Fatalf("%q came back for %q: %v", p, text, err)
		}
	}
	ask("before")
	if err := service.Close(); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for counters.Dropped(flow.DropUnreachable) < 5 { // on loopback each is reported, late or at once
		if _, err := writer.Write([]byte("nobody is there")); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if n := counters.Dropped(flow.DropUnreachable); n > int64(sent) {
		t.Errorf("%d reports for %d datagrams: somebody spins", n, sent)
	}
	go echo(loopback(t, at))
	// The service's buffer may overflow with what was on its way to nobody.
	for got, tries := "", 0; got != "after"; {
		if tries++; tries > 100 {
			t.Fatal("the service that is back is not reached")
		}
		if _, err := writer.Write([]byte("after")); err != nil {
			t.Fatal(err)
		}
		_ = near.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		for err := error(nil); err == nil && got != "after"; {
			var p []byte
			p, err = reader.Next()
			got = string(p)
		}
	}
	_ = near.Close()
	if r := <-over; r.Why != flow.Done || counters.Open.Load() != 0 {
		t.Errorf("it ended as %q, %v", r.Why, r.Err)
	}
}

// end runs a Relay in virtual time over pipes, of which each Read and Write is a whole.
func end(t *testing.T, o flow.Options, use func(ctx context.CancelFunc, stream, socket net.Conn)) (r flow.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, there := net.Pipe()
		socket, service := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		over := make(chan flow.Result, 1)
		go func() { over <- flow.Relay(ctx, there, socket, o) }()
		use(cancel, near, service)
		r = <-over
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("the stream is open")
		}
		if _, err := service.Write([]byte("x")); err == nil {
			t.Error("the socket is open")
		}
	})
	return r
}

func TestRelayEnds(t *testing.T) {
	began := func() time.Time { return time.Now() }
	t.Run("idle", func(t *testing.T) {
		var took time.Duration
		r := end(t, flow.Options{Idle: time.Minute}, func(_ context.CancelFunc, stream, service net.Conn) {
			start := began()
			time.Sleep(50 * time.Second)
			go func() { _, _ = flow.NewWriter(stream).Write([]byte("in")) }()
			_, _ = service.Read(make([]byte, 10))
			time.Sleep(50 * time.Second)
			go func() { _, _ = service.Write([]byte("out")) }()
			_, _ = flow.NewReader(stream).Next()
			_, _ = stream.Read(make([]byte, 1)) // until the end
			took = time.Since(start)
		})
		if r.Why != flow.Idle || took != 160*time.Second || r.DatagramsIn != 1 || r.DatagramsOut != 1 {
			t.Errorf("it ended as %q after %v: %+v", r.Why, took, r)
		}
	})
	t.Run("context", func(t *testing.T) {
		r := end(t, flow.Options{}, func(cancel context.CancelFunc, _, _ net.Conn) {
			time.Sleep(time.Hour)
			cancel()
		})
		if r.Why != flow.Closed {
			t.Errorf("it ended as %q", r.Why)
		}
	})
	t.Run("stream closed", func(t *testing.T) {
		r := end(t, flow.Options{}, func(_ context.CancelFunc, stream, _ net.Conn) { _ = stream.Close() })
		if r.Why != flow.Done {
			t.Errorf("it ended as %q", r.Why)
		}
	})
	t.Run("stream cut within a datagram", func(t *testing.T) {
		r := end(t, flow.Options{}, func(_ context.CancelFunc, stream, _ net.Conn) {
			_, _ = stream.Write([]byte{0, 9, 'x'})
			_ = stream.Close()
		})
		if r.Why != flow.Failed || !errors.Is(r.Err, io.ErrUnexpectedEOF) {
			t.Errorf("it ended as %q: %v", r.Why, r.Err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		r := end(t, flow.Options{}, func(_ context.CancelFunc, stream, _ net.Conn) { _, _ = stream.Write([]byte{0xff, 0xff}) })
		if r.Why != flow.Failed || !errors.Is(r.Err, flow.ErrTooLong) {
			t.Errorf("it ended as %q: %v", r.Why, r.Err)
		}
	})
	t.Run("socket", func(t *testing.T) {
		r := end(t, flow.Options{}, func(_ context.CancelFunc, _, service net.Conn) { _ = service.Close() })
		if r.Why != flow.Failed {
			t.Errorf("it ended as %q", r.Why)
		}
	})
}
