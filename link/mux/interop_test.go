package mux_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.ngrok.com/muxado/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
)

// withMuxado joins a session of ours with one of the muxado module, at either end.
func withMuxado(t *testing.T, weAreClient bool, c mux.Config) (*mux.Session, muxado.TypedStreamSession) {
	t.Helper()
	a, b := loopback(t)
	c.Client = weAreClient
	var peer muxado.Session
	var ours *mux.Session
	if weAreClient {
		ours, peer = mux.New(a, c), muxado.Server(b, nil)
	} else {
		ours, peer = mux.New(b, c), muxado.Client(a, nil)
	}
	typed := muxado.NewTypedStreamSession(peer)
	t.Cleanup(func() {
		ours.Close(nil)
		<-ours.Closed()
		peer.Close()
	})
	return ours, typed
}

func bothRoles(t *testing.T, test func(t *testing.T, weAreClient bool)) {
	t.Run("server", func(t *testing.T) { test(t, false) })
	t.Run("client", func(t *testing.T) { test(t, true) })
}

func TestMuxadoOpensBulkAndHalfCloses(t *testing.T) {
	bothRoles(t, func(t *testing.T, weAreClient bool) {
		ours, peer := withMuxado(t, weAreClient, mux.Config{})
		down, up := bytes.Repeat([]byte("down"), 1<<20), bytes.Repeat([]byte("up"), 1<<20)
		var wg sync.WaitGroup
		wg.Go(func() {
			streamType, st, err := ours.Accept(t.Context())
			if err != nil || streamType != 7 {
				t.Errorf("Accept: type %d, %v", streamType, err)
				return
			}
			if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, up) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if _, err := st.Write(down); err != nil {
				t.Error(err)
			}
			st.Close()
		})
		st, err := peer.OpenTypedStream(7)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write(up); err != nil { // one frame of a whole window at a time
			t.Fatal(err)
		}
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, down) {
			t.Fatalf("muxado read %d bytes, %v", len(got), err)
		}
		wg.Wait()
	})
}

func TestMuxadoAcceptsBulkAndHalfCloses(t *testing.T) {
	bothRoles(t, func(t *testing.T, weAreClient bool) {
		ours, peer := withMuxado(t, weAreClient, mux.Config{})
		down, up := bytes.Repeat([]byte("down"), 1<<20), bytes.Repeat([]byte("up"), 1<<20)
		st, err := ours.Open(t.Context(), 5, []byte("he"), []byte("ad"))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := peer.AcceptTypedStream()
		if err != nil || theirs.StreamType() != 5 {
			t.Fatalf("muxado accepted type %d, %v", theirs.StreamType(), err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := io.ReadAll(theirs); err != nil || !bytes.Equal(got, append([]byte("head"), up...)) {
				t.Errorf("muxado read %d bytes, %v", len(got), err)
			}
		})
		wg.Go(func() {
			if _, err := theirs.Write(down); err != nil {
				t.Error(err)
			}
			_ = theirs.CloseWrite()
		})
		wg.Go(func() {
			if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, down) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
		if _, err := st.Write(up); err != nil {
			t.Error(err)
		}
		_ = st.CloseWrite()
		wg.Wait()
		_ = st.Close()
	})
}

func TestMuxadoHeartbeats(t *testing.T) {
	bothRoles(t, func(t *testing.T, weAreClient bool) {
		ours, peer := withMuxado(t, weAreClient, mux.Config{})
		beats := make(chan time.Duration, 16)
		heart := muxado.NewHeartbeat(peer, func(d time.Duration, timeout bool) {
			if timeout {
				d = -1
			}
			select {
			case beats <- d:
			default:
			}
		}, &muxado.HeartbeatConfig{Interval: 5 * time.Millisecond, Tolerance: 10 * time.Second, Type: 0xFFFFFFFF})
		heart.Start()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = heart.AcceptTypedStream() }) // answers ours until the end
		for range 3 {
			if d := <-beats; d < 0 {
				t.Fatal("we did not echo muxado's heartbeat")
			}
			if d, err := ours.Ping(t.Context()); err != nil || d <= 0 {
				t.Fatalf("Ping: %v, %v", d, err)
			}
		}
		if ours.RTT() <= 0 || ours.Streams() != 0 {
			t.Errorf("RTT %v, %d streams", ours.RTT(), ours.Streams())
		}
		ours.Close(nil)
		wg.Wait()
		heart.Close()
	})
}

func TestMuxadoResetsAndIsReset(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{})
	st, err := ours.Open(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := peer.AcceptTypedStream()
	if err != nil {
		t.Fatal(err)
	}
	st.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "no"))
	if _, err := theirs.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("after our reset muxado read %v", err)
	}

	// A closed muxado stream answers late bytes with StreamClosed; what it had sent
	// stays readable, since it was complete.
	st, err = ours.Open(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = peer.AcceptTypedStream(); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Write([]byte("413 too large")); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	for err == nil {
		_, err = st.Write(make([]byte, 4<<10))
	}
	if !postern.HasCode(err, postern.CodeStreamReset) {
		t.Errorf("writing to a closed stream failed with %v", err)
	}
	if got, err := io.ReadAll(st); err != nil || string(got) != "413 too large" {
		t.Errorf("the early answer was lost: %q, %v", got, err)
	}
}

func TestMuxadoAcceptQueueOverflows(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{})
	const burst = 200 // muxado's backlog is 128
	var refused, streams []*mux.Stream
	for range burst {
		st, err := ours.Open(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, st)
	}
	for _, st := range streams[128:] {
		if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeStreamRefused) || !st.Refused() {
			t.Fatalf("an overflowing stream: %v, refused %v", err, st.Refused())
		}
		refused = append(refused, st)
	}
	if len(refused) != burst-128 {
		t.Errorf("%d streams were refused", len(refused))
	}
	for range 128 {
		if _, err := peer.AcceptTypedStream(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPacingKeepsMuxadosQueueFromOverflowing(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{Limits: mux.Limits{Unaccepted: 64}})
	const burst = 600
	var wg sync.WaitGroup
	wg.Go(func() {
		for range burst {
			st, err := peer.AcceptTypedStream()
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(st, st)
				st.Close()
			})
		}
	})
	for range burst {
		wg.Go(func() {
			st, err := ours.Open(t.Context(), 5, []byte("x"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = st.CloseWrite()
			if got, err := io.ReadAll(st); err != nil || string(got) != "x" {
				t.Errorf("echo: %q, %v", got, err)
			}
			st.Close()
		})
	}
	wg.Wait()
}

func TestOurAcceptQueueOverflows(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{AcceptBacklog: 4})
	var conns []net.Conn
	for range 5 {
		st, err := peer.OpenTypedStream(3)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, st)
	}
	_, err := conns[4].Read(make([]byte, 1))
	if code, _ := muxado.GetError(err); code != muxado.AcceptQueueFull {
		t.Errorf("the fifth stream got %v", err)
	}
	for range 4 {
		if _, _, err := ours.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMuxadoGoesAway(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{})
	st, err := ours.Open(context.Background(), 5)
	if err != nil {
		t.Fatal(err)
	}
	peer.Close()
	<-ours.Done()
	if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
		t.Errorf("a stream of an ended session: %v", err)
	}
	if _, err := ours.Open(t.Context(), 5); !postern.HasCode(err, postern.CodeLinkLost) {
		t.Errorf("Open on an ended session: %v", err)
	}
}

func TestMuxadoSeesOurEnd(t *testing.T) {
	ours, peer := withMuxado(t, false, mux.Config{})
	st, err := ours.Open(t.Context(), 5, []byte("last words"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := peer.AcceptTypedStream()
	if err != nil {
		t.Fatal(err)
	}
	ours.Close(nil)
	if got, _ := io.ReadAll(theirs); string(got) != "last words" {
		t.Errorf("muxado read %q before the end", got)
	}
	if _, _, debug := peer.Wait(); len(debug) != 0 {
		t.Errorf("a plain end says %q", debug)
	}
	st.Close()
}
