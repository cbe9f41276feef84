package mux_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// FuzzSession feeds a session with arbitrary bytes, as a stranger can: it must not
// panic, must end once the bytes have, and must not allocate out of proportion.
func FuzzSession(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add(encode(data, syn, 3, 9, typed("hello")), false)
	f.Add(append(encode(data, syn|fin, 3, 4, typed("")), encode(wndinc, 0, 3, 4, word(7))...), true)
	f.Add(append(encode(data, syn, 3, 8, append(word(0xFFFFFFFF), "ping"...)), encode(data, fin, 3, 0, nil)...), false)
	f.Add(encode(data, syn, 3, 1<<24-1, nil), false)
	f.Add(encode(goaway, 0, 0, 30, append(make([]byte, 8), "ERR_POSTERN_104\nin a minute..."...)), true)
	f.Add(append(encode(data, syn, 3, 2, word(3)[:2]), encode(rst, 0, 3, 20, append(word(7), "ERR_NGROK_1\nx"...))...), true)
	f.Add(append(encode(data, syn, 3, 4, word(13)), encode(4, 0, 3, 4, word(1))...), true)
	f.Add(append(encode(data, syn, 3, 16, append(word(13), "abcdefghrest"...)), encode(4, 0, 3, 4, word(1))...), true)
	f.Fuzz(func(t *testing.T, input []byte, rich bool) {
		if len(input) > 1<<16 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, b := testkit.Pipe()
		s := mux.New(b, mux.Config{RichResets: rich, Limits: mux.Limits{PeerStreams: 64, Buffered: 256 << 10}})
		if rich {
			s.AllowMoves()
			s.SetAside(13, 4)
		}
		go func() {
			for {
				_, st, err := s.Accept(context.Background())
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(io.Discard, st)
					_ = st.Close()
				}()
			}
		}()
		go func() { _, _ = io.Copy(io.Discard, a) }()
		_, _ = a.Write(input)
		_ = a.(*testkit.PipeConn).CloseWrite()
		select {
		case <-s.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the session lives on after its connection")
		}
		_ = a.Close()
		<-s.Closed()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64*uint64(len(input))+4<<20 {
			t.Errorf("%d bytes of input made the session allocate %d", len(input), grown)
		}
	})
}
