package native_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

// fleet is a session whose agent can dial further carriers.
type fleet struct {
	*ends
	hub     *native.Hub
	dialled func() []*testkit.FaultConn
	serving *sync.WaitGroup
}

// newFleet connects both ends, with further carriers when they are asked for.
func newFleet(t testing.TB) *fleet {
	t.Helper()
	hub, serving := new(native.Hub), new(sync.WaitGroup)
	registrar := linktest.NewRegistrar(token)
	config := native.Config{Registrar: registrar, Logger: testkit.Logger(t), ServerVersion: "test", Hub: hub}
	var mu sync.Mutex
	var conns []*testkit.FaultConn
	ctx := context.WithoutCancel(t.Context())
	dial := func(context.Context) (net.Conn, error) {
		near, far := testkit.Pipe()
		faulty := testkit.Fault(near)
		mu.Lock()
		conns = append(conns, faulty)
		mu.Unlock()
		serving.Go(func() { _ = native.Serve(ctx, far, config) })
		return faulty, nil
	}
	near, far := testkit.Pipe()
	f := &fleet{ends: &ends{registrar: registrar, served: make(chan error, 1)}, hub: hub, serving: serving}
	f.dialled = func() []*testkit.FaultConn {
		mu.Lock()
		defer mu.Unlock()
		return conns
	}
	go func() { f.served <- native.Serve(ctx, far, config) }()
	var err error
	f.client, f.welcome, err = native.Connect(ctx, near, native.ClientConfig{Hello: hello, Logger: testkit.Logger(t), Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	if f.admitted, err = registrar.Next(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) close() {
	f.ends.close()
	f.serving.Wait()
}

// await polls for what comes about by itself, soon.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("in vain: " + what)
		}
	}
}

// grown has n further carriers at both ends.
func (f *fleet) grown(t testing.TB, n int) *fleet {
	t.Helper()
	native.Grow(f.client, n)
	await(t, "carriers", func() bool {
		return native.Carriers(f.client) == n && native.Carriers(native.ServerOf(f.hub)) == n
	})
	return f
}

// grownAndForced moves every stream all the time.
func grownAndForced(t testing.TB, seed uint64, n, portion int) *fleet {
	f := newFleet(t).grown(t, 3)
	native.ForceMoves(seed, n, portion, f.client, native.ServerOf(f.hub))
	return f
}

// pair opens one stream and gives both its ends.
func (f *fleet) pair(t testing.TB) (server, agent link.Stream) {
	t.Helper()
	server, err := f.admitted.Session.Open(t.Context(), link.Header{Endpoint: "e", Scheme: postern.TCP}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, agent, err = f.client.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return server, agent
}

func TestLinkWithFurtherCarriers(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		f := newFleet(t)
		return f.admitted.Session, f.client, f.close
	})
}

// What a stream promises holds at whatever byte it moves.
func TestLinkWithForcedMoves(t *testing.T) {
	for _, tt := range []struct {
		name       string
		n, portion int
	}{{"AtEveryWrite", 1, 64 << 10}, {"AtEveryFewBytes", 1, 700}, {"NowAndThen", 5, 20 << 10}} {
		t.Run(tt.name, func(t *testing.T) {
			linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
				f := grownAndForced(t, 7, tt.n, tt.portion)
				return f.admitted.Session, f.client, f.close
			})
		})
	}
}

// A model of one direction: whatever is written is read, in order, then the end.
func TestMovesKeepEveryByte(t *testing.T) {
	f := grownAndForced(t, 11, 2, 40<<10)
	defer f.close()
	rapid.Check(t, func(rt *rapid.T) {
		server, agent := f.pair(t)
		limit := time.Now().Add(30 * time.Second)
		_, _ = server.SetDeadline(limit), agent.SetDeadline(limit)
		var moving sync.WaitGroup
		for _, ends := range [][2]link.Stream{{server, agent}, {agent, server}} {
			sizes := rapid.SliceOfN(rapid.IntRange(0, 90<<10), 0, 24).Draw(rt, "writes")
			steps := rapid.SliceOfN(rapid.IntRange(1, 50<<10), 1, 8).Draw(rt, "reads")
			var sent []byte
			for _, n := range sizes {
				b := make([]byte, n)
				_, _ = rand.Read(b)
				sent = append(sent, b...)
			}
			moving.Go(func() { writeAll(rt, ends[0], sent, sizes) })
			moving.Go(func() { readAll(rt, ends[1], sent, steps) })
		}
		moving.Wait()
		_, _ = server.Close(), agent.Close()
	})
	await(t, "no stream is left", func() bool {
		streams, parked := native.Known(f.client)
		return streams == 0 && parked == 0 && f.client.Streams() == 0
	})
}

func writeAll(rt *rapid.T, to link.Stream, sent []byte, sizes []int) {
	for _, n := range sizes {
		if k, err := to.Write(sent[:n]); err != nil || k != n {
			rt.Errorf("Write: %d of %d, %v", k, n, err)
			return
		}
		sent = sent[n:]
	}
	if err := to.CloseWrite(); err != nil {
		rt.Errorf("CloseWrite: %v", err)
	}
}

func readAll(rt *rapid.T, from link.Stream, want []byte, steps []int) {
	b := make([]byte, 64<<10)
	for i := 0; ; i++ {
		n, err := from.Read(b[:steps[i%len(steps)]])
		if !bytes.HasPrefix(want, b[:n]) {
			rt.Errorf("other bytes than were written")
			return
		}
		want = want[n:]
		if err != nil {
			if err != io.EOF || len(want) > 0 {
				rt.Errorf("%d bytes before the end: %v", len(want), err)
			}
			return
		}
	}
}

// B5: a reset that overtakes a move is a reset still, never a clean end.
func TestResetsAmongMoves(t *testing.T) {
	f := grownAndForced(t, 13, 1, 4<<10)
	defer f.close()
	random := mrand.New(mrand.NewPCG(1, 2))
	for range 200 {
		server, agent := f.pair(t)
		if random.IntN(2) == 0 {
			server, agent = agent, server
		}
		length := 1 + random.IntN(200<<10)
		go func() {
			_, _ = server.Write(make([]byte, length))
			server.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "gone"))
		}()
		_ = agent.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := io.Copy(io.Discard, agent)
		var coded *postern.Error
		if !errors.As(err, &coded) || n > int64(length) {
			t.Fatalf("%d bytes of %d, then %v", n, length, err)
		}
		_ = agent.Close()
	}
}

// Deadlines pass on every leg, and between two.
func TestDeadlinesAmongMoves(t *testing.T) {
	f := grownAndForced(t, 17, 1, 1<<10)
	defer f.close()
	server, agent := f.pair(t)
	defer server.Close()
	defer agent.Close()
	b := make([]byte, 16<<10)
	for range 20 {
		if _, err := server.Write(b[:5000]); err != nil {
			t.Fatal(err)
		}
		_ = agent.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(agent, b[:5000]); err != nil {
			t.Fatal(err)
		}
		_ = agent.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		if _, err := agent.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a Read of nothing: %v", err)
		}
	}
	_ = server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	for {
		if _, err := server.Write(b); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a Write that nobody reads: %v", err)
			}
			break
		}
	}
}
