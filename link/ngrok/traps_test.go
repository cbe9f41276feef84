package ngrok_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/ngrok"
)

const (
	goAgent   = "ngrok-go/2.1.1"
	nodeAgent = "ngrok-javascript/1.7.0 ngrok-rust/0.18.0"
)

var header = link.Header{Endpoint: "bind-1", Scheme: postern.TCP}

// hold accepts streams and keeps them open until the session ends.
func (a *muxadoAgent) hold(held chan<- io.Closer) {
	for {
		stream, err := a.accept()
		if err != nil {
			return
		}
		held <- stream
	}
}

func TestRustAgentsGetNoMoreStreamsThanTheySurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := joinMuxado(t, nodeAgent, 0)
		held := make(chan io.Closer, 1000)
		go a.hold(held)
		session := a.admitted.Session
		var opened []link.Stream
		var refused error
		for refused == nil {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			stream, err := session.Open(ctx, header, nil)
			cancel()
			if refused = err; err == nil {
				opened = append(opened, stream)
			}
		}
		if !postern.HasCode(refused, postern.CodeStreamLimit) {
			t.Errorf("got %v", refused)
		}
		if n := len(opened); n < 430 || n > 460 {
			t.Errorf("%d streams were opened", n)
		}
		// One that ends makes room for one that waits.
		waiting := make(chan error, 1)
		go func() {
			_, err := session.Open(t.Context(), header, nil)
			waiting <- err
		}()
		synctest.Wait()
		opened[0].Close()
		(<-held).Close()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		a.close()
	})
}

func TestGoAgentsHaveNoSuchLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := joinMuxado(t, goAgent, 0)
		go a.hold(make(chan io.Closer, 1000))
		for range 1000 {
			if _, err := a.admitted.Session.Open(t.Context(), header, nil); err != nil {
				t.Fatal(err)
			}
		}
		a.close()
	})
}

func TestOpensArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := joinMuxado(t, goAgent, 0)
		var opens sync.WaitGroup
		var opened atomic.Int32
		for range 300 {
			opens.Go(func() {
				if _, err := a.admitted.Session.Open(t.Context(), header, nil); err != nil {
					t.Error(err)
				}
				opened.Add(1)
			})
		}
		synctest.Wait()
		if n := opened.Load(); n < 90 || n > 100 {
			t.Errorf("%d streams were opened at an agent that accepts none", n)
		}
		held := make(chan io.Closer, 300)
		go a.hold(held)
		opens.Wait()
		synctest.Wait()
		if n := len(held); n != 300 {
			t.Errorf("the agent accepted %d of 300", n)
		}
		a.close()
	})
}

// An agent whose accept queue overflows refuses streams; the visitors on them
// must not notice, whatever they have sent by then.
func TestRefusedStreamsAreOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := joinMuxado(t, goAgent, 3)
		var visitors, echoes sync.WaitGroup
		for i := range 20 {
			visitors.Go(func() { visit(t, a.admitted.Session, i) })
		}
		synctest.Wait() // all have been sent, and most refused
		echoes.Go(func() {
			for {
				stream, err := a.accept()
				if err != nil {
					return
				}
				echoes.Go(func() {
					_, _ = io.Copy(stream, stream)
					stream.Close()
				})
				time.Sleep(5 * time.Millisecond)
			}
		})
		visitors.Wait()
		a.close()
		echoes.Wait()
	})
}

// visit sends three parts of its own and wants them back.
func visit(t *testing.T, session link.Session, i int) {
	first := fmt.Appendf(nil, "visitor %d:", i)
	second := bytes.Repeat([]byte{byte(i)}, 40<<10)
	third := bytes.Repeat([]byte{byte(i + 1)}, 300<<10) // beyond the window
	stream, err := session.Open(t.Context(), header, first)
	if err != nil {
		t.Error(err)
		return
	}
	defer stream.Close()
	want := bytes.Join([][]byte{first, second, third}, nil)
	var written sync.WaitGroup
	written.Go(func() {
		for _, part := range [][]byte{second, third} {
			if n, err := stream.Write(part); n != len(part) || err != nil {
				t.Errorf("visitor %d wrote %d of %d: %v", i, n, len(part), err)
			}
		}
		if err := stream.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(stream)
	written.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("visitor %d: %d bytes of %d came back, %v", i, len(got), len(want), err)
	}
}

func TestAnAgentThatNeverAcceptsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := join(t, linktest.NewRegistrar(token), goAgent, mux.Config{AcceptBacklog: 1})
		full, err := a.admitted.Session.Open(t.Context(), header, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		start := time.Now()
		refused, err := a.admitted.Session.Open(t.Context(), header, []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer refused.Close()
		if _, err := refused.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeStreamRefused) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		a.close()
	})
}

func TestARefusedStreamCanBeAbandoned(t *testing.T) {
	tests := []struct {
		name string
		stop func(link.Stream)
	}{
		{"close", func(s link.Stream) { s.Close() }},
		{"reset", func(s link.Stream) { s.Reset(nil) }},
		{"deadline", func(s link.Stream) { _ = s.SetDeadline(time.Unix(1, 0)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := join(t, linktest.NewRegistrar(token), goAgent, mux.Config{AcceptBacklog: 1})
				full, err := a.admitted.Session.Open(t.Context(), header, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer full.Close()
				stream, err := a.admitted.Session.Open(t.Context(), header, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				failed := make(chan error, 1)
				go func() {
					_, err := stream.Read(make([]byte, 1))
					failed <- err
				}()
				synctest.Wait() // the reopening waits its first few milliseconds
				start := time.Now()
				tt.stop(stream)
				if err := <-failed; err == nil || postern.HasCode(err, postern.CodeStreamRefused) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("took %v", took)
				}
				a.close()
			})
		})
	}
}

func TestDrainStopsOnlyOurOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := join(t, linktest.NewRegistrar(token), goAgent, mux.Config{})
		session := a.admitted.Session
		session.Drain()
		if _, err := session.Open(t.Context(), header, nil); !postern.HasCode(err, postern.CodeLinkDraining) {
			t.Errorf("got %v", err)
		}
		// A GOAWAY would have ended the agent's session.
		time.Sleep(time.Minute)
		if _, err := session.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		a.close()
	})
}

func TestStrangersGetLittle(t *testing.T) {
	// wire.md §6.3-2: streams and bytes are capped before Auth.
	synctest.Test(t, func(t *testing.T) {
		a := connect(t, linktest.NewRegistrar(token), mux.Config{})
		var streams []*mux.Stream
		for range 40 {
			stream, err := a.mux.Open(t.Context(), 8, []byte(`{"x":"`)) // never finished
			if err != nil {
				break
			}
			streams = append(streams, stream)
		}
		synctest.Wait()
		refused := 0
		for _, stream := range streams {
			_ = stream.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := stream.Read(make([]byte, 1)); postern.HasCode(err, postern.CodeStreamRefused) {
				refused++
			}
		}
		if refused < 30 {
			t.Errorf("only %d of %d streams of a stranger were refused", refused, len(streams))
		}
		if err := <-a.served; err == nil {
			t.Error("a stranger may stay for ever")
		}
		a.mux.Close(nil)
		<-a.mux.Closed()
	})
}

func TestTransport(t *testing.T) {
	a := join(t, linktest.NewRegistrar(token), goAgent, mux.Config{})
	defer a.close()
	if got := a.admitted.Session.Transport(); got != ngrok.Transport {
		t.Errorf("got %q", got)
	}
	if got := a.admitted.Session.RemoteAddr(); !got.IsValid() {
		t.Errorf("got %v", got)
	}
}

// Whatever bytes arrive, the session ends, and only the session.
func FuzzServe(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("\x00\x00\x06\x12\x00\x00\x00\x03\x00\x00\x00\x08{}"))
	f.Add([]byte("\x00\x00\x10\x12\x00\x00\x00\x03\x00\x00\x00\x00{\"Extra\":{"))
	f.Add([]byte("\xff\xff\xff\x12\x00\x00\x00\x03\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) { feed(t, raw) })
}
