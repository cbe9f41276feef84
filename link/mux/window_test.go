package mux_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// delayed carries frames between two pipes with a delay each way, without limiting
// the rate: a long fat path.
func delayed(t *testing.T, delay time.Duration) (a, b *testkit.PipeConn) {
	return limited(t, delay, 0)
}

// limited is delayed with so many bytes a second each way, 0 for no limit.
func limited(t *testing.T, delay time.Duration, rate int) (a, b *testkit.PipeConn) {
	a1, a2 := testkit.Pipe()
	b1, b2 := testkit.Pipe()
	carry := func(from, to *testkit.PipeConn) {
		type chunk struct {
			at time.Time
			b  []byte
		}
		chunks := make(chan chunk, 1<<16)
		go func() {
			for c := range chunks {
				time.Sleep(time.Until(c.at)) // virtual
				if _, err := to.Write(c.b); err != nil {
					break
				}
			}
			_ = to.Close()
			for range chunks {
			}
		}()
		for {
			p := make([]byte, 64<<10)
			n, err := from.Read(p)
			if n > 0 && rate > 0 {
				time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
			}
			if n > 0 {
				chunks <- chunk{time.Now().Add(delay), p[:n]}
			}
			if err != nil {
				close(chunks)
				return
			}
		}
	}
	go carry(a2.(*testkit.PipeConn), b2.(*testkit.PipeConn))
	go carry(b2.(*testkit.PipeConn), a2.(*testkit.PipeConn))
	return a1.(*testkit.PipeConn), b1.(*testkit.PipeConn)
}

// B5-8: over 50 ms a stream is not held to a window of 256 KiB a round trip.
func TestWindowGrowsOnALongPath(t *testing.T) {
	transfer := func(t *testing.T, most uint32) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			a, b := delayed(t, 25*time.Millisecond)
			c := mux.Config{RichResets: true, MaxWindow: most, Heartbeat: 10 * time.Second}
			server := mux.New(b, c)
			c.Client = true
			client := mux.New(a, c)
			if _, err := client.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			near, far := opened(t, server, client)
			started := time.Now()
			go func() {
				_, _ = near.Write(make([]byte, 32<<20))
				_ = near.Close()
			}()
			if n, err := io.Copy(io.Discard, far); n != 32<<20 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			took = time.Since(started)
			_ = far.Close()
			client.Close(nil)
			server.Close(nil)
			<-client.Closed()
			<-server.Closed()
		})
		return took
	}
	fixed, tuned := transfer(t, 256<<10), transfer(t, 4<<20)
	if tuned > fixed/4 {
		t.Errorf("32 MiB over 50 ms took %s with a fixed window and %s with a tuned one", fixed, tuned)
	}
}

// A window update is worth at least half a window: two frames a window, not one a
// Read.
func TestWindowUpdatesAreBatched(t *testing.T) {
	against(t, mux.Config{MaxWindow: 256 << 10}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(data, syn, 3, typed(""))
		_, st, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, st) }()
		for range 12 { // 120 KiB, below half a window
			p.send(data, 0, 3, make([]byte, 10<<10))
		}
		synctest.Wait()
		p.send(data, 0, 3, make([]byte, 10<<10))
		f := p.next()
		if f.kind != wndinc || f.stream != 3 {
			t.Fatalf("got %+v", f)
		}
		if n := binary.BigEndian.Uint32(f.body); n < 128<<10 {
			t.Errorf("the update is for %d bytes", n)
		}
	})
}

// B5-9, B5-10: while bulk streams have the connection to themselves and more, a
// small frame waits behind at most 256 KiB of them.
func TestSmallFramesDoNotQueueBehindBulk(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		const bulk = 32
		var streams []*mux.Stream
		for range bulk + 1 { // all before the first writes: an open waits for room too
			st, err := s.Open(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, st)
		}
		for _, st := range streams[:bulk] {
			go func() { _, _ = st.Write(bytes.Repeat([]byte("b"), 1<<20)) }()
		}
		small := streams[bulk]
		synctest.Wait() // the connection is full, all of them wait
		if n, err := small.Write([]byte("small")); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		const inThePipe = 64 << 10
		for before := 0; ; {
			f := p.next()
			if f.kind == data && f.stream == small.ID() && bytes.Equal(f.body, []byte("small")) {
				if before > 256<<10+inThePipe {
					t.Errorf("the small frame came behind %d KiB", before>>10)
				}
				break
			}
			before += 8 + len(f.body)
		}
	})
}

// Bulk streams share the connection frame by frame.
func TestBulkStreamsTakeTurns(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		const streams = 8
		for range streams {
			st, err := s.Open(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = st.Write(make([]byte, 256<<10-4)) }()
			synctest.Wait()
		}
		sent, ended := map[uint32]int{}, map[uint32]int{}
		total := 0
		for total < streams*(256<<10) {
			f := p.next()
			sent[f.stream] += len(f.body)
			total += len(f.body)
			if sent[f.stream] == 256<<10 {
				ended[f.stream] = total
			}
		}
		for id, at := range ended {
			// The first had the connection alone for what fits into the pipe and two batches.
			if at < streams*(256<<10)/2 && id != 2 {
				t.Errorf("stream %d was through after %d of %d KiB", id, at>>10, total>>10)
			}
		}
	})
}
