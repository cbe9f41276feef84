package mux_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// B5-31: a breach of the protocol ends the session that commits it, with GOAWAY.
func TestBreachesEndTheSession(t *testing.T) {
	tests := []struct {
		name string
		send func(p *rawPeer)
		code uint32
	}{
		{"SYN with an id of ours", func(p *rawPeer) { p.send(data, syn, 4, typed("")) }, protocolError},
		{"SYN for an open stream", func(p *rawPeer) {
			p.send(data, syn, 3, typed(""))
			p.send(data, syn, 3, typed(""))
		}, protocolError},
		{"DATA for stream 0", func(p *rawPeer) { p.send(data, 0, 0, []byte("x")) }, protocolError},
		{"RST for stream 0", func(p *rawPeer) { p.send(rst, 0, 0, word(1)) }, protocolError},
		{"WNDINC for stream 0", func(p *rawPeer) { p.send(wndinc, 0, 0, word(1)) }, protocolError},
		{"a 32-bit stream id", func(p *rawPeer) { p.send(data, syn, 1<<31|3, typed("")) }, protocolError},
		{"RST without a code", func(p *rawPeer) { p.send(rst, 0, 3, nil) }, frameSizeError},
		{"RST with text for a plain session", func(p *rawPeer) { p.send(rst, 0, 3, []byte("12345")) }, frameSizeError},
		{"WNDINC of 3 bytes", func(p *rawPeer) { p.send(wndinc, 0, 3, []byte("123")) }, frameSizeError},
		{"WNDINC of 0", func(p *rawPeer) { p.send(wndinc, 0, 3, word(0)) }, protocolError},
		{"WNDINC of 0 in 31 bits", func(p *rawPeer) { p.send(wndinc, 0, 3, word(1<<31)) }, protocolError},
		{"GOAWAY on a stream", func(p *rawPeer) { p.send(goaway, 0, 3, make([]byte, 8)) }, protocolError},
		{"GOAWAY of 7 bytes", func(p *rawPeer) { p.send(goaway, 0, 0, make([]byte, 7)) }, protocolError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
				test.send(p)
				p.expectEnd(test.code)
				if cause := s.Cause(); cause == nil || cause.Code != postern.CodeProtocolViolation {
					t.Errorf("the cause is %v", cause)
				}
			})
		})
	}
}

// Frames of unknown kinds and late frames of closed streams are no breach.
func TestHarmlessFramesAreSkipped(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(9, 15, 77, bytes.Repeat([]byte("?"), 20000))
		p.send(data, fin, 99, nil)
		p.send(wndinc, 0, 99, word(5))
		p.send(rst, 0, 99, word(7))
		p.send(data, 0, 99, []byte("late"))
		p.expectReset(99, streamClosed)
		p.send(data, 0, 99, []byte("later")) // not answered twice
		p.send(data, syn, 3, typed("hello"))
		_, st, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(st, got); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// DATA that the window does not allow is refused at its header: twenty streams
// claim 16 MiB each and cost next to nothing.
func TestOversizeDataCostsNoMemory(t *testing.T) {
	const streams, claim = 20, 1<<24 - 1
	a, b := loopback(t)
	s := mux.New(b, mux.Config{Limits: mux.Limits{Buffered: 1 << 20}})
	go func() {
		zeroes := make([]byte, 1<<20)
		for i := range streams {
			if _, err := a.Write(encode(data, syn, uint32(3+2*i), claim, nil)); err != nil {
				return
			}
			for left := claim; left > 0; left -= min(left, len(zeroes)) {
				if _, err := a.Write(zeroes[:min(left, len(zeroes))]); err != nil {
					return
				}
			}
		}
	}()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	peer := &rawPeer{t, a}
	for i := range streams {
		peer.expectReset(uint32(3+2*i), flowControlError)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d MiB were allocated for %d MiB of claims", grown>>20, streams*claim>>20)
	}
	if n := s.Streams(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
	a.Close()
	s.Close(nil)
	<-s.Closed()
}

func TestDataBeyondTheWindowResetsItsStreamOnly(t *testing.T) {
	against(t, mux.Config{Window: 10}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(data, syn, 3, typed("a"))
		p.send(data, syn, 5, typed("b"))
		_, first, _ := s.Accept(t.Context())
		_, second, _ := s.Accept(t.Context())
		p.send(data, 0, 3, []byte("123456")) // 5 are allowed
		p.expectReset(3, flowControlError)
		p.send(data, fin, 5, []byte("12345"))
		if _, err := first.Read(make([]byte, 9)); !postern.HasCode(err, postern.CodeFlowControlViolation) {
			t.Errorf("the violator's stream: %v", err)
		}
		if got, err := io.ReadAll(second); err != nil || string(got) != "b12345" {
			t.Errorf("the other stream: %q, %v", got, err)
		}
	})
}

func TestWindowOverflowResetsTheStream(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		st, err := s.Open(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		p.next() // the SYN
		p.send(wndinc, 0, st.ID(), word(1<<31-1))
		p.expectReset(st.ID(), flowControlError)
		if _, err := st.Write([]byte("x")); !postern.HasCode(err, postern.CodeFlowControlViolation) {
			t.Errorf("Write gave %v", err)
		}
	})
}

func TestStreamsAboveTheCapAreRefused(t *testing.T) {
	against(t, mux.Config{Limits: mux.Limits{PeerStreams: 3}}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		for i := range uint32(100) {
			p.send(data, syn, 3+2*i, typed("x"))
			if i >= 3 {
				p.expectReset(3+2*i, streamRefused)
			}
		}
		if n := s.Streams(); n != 3 {
			t.Errorf("%d streams are open", n)
		}
		s.SetLimits(mux.Limits{PeerStreams: 4})
		p.send(data, syn, 1001, typed("x"))
		for range 4 {
			if _, _, err := s.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAcceptBacklogOverflows(t *testing.T) {
	against(t, mux.Config{AcceptBacklog: 2}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(data, syn, 3, nil) // a stream without a type takes a place as well
		p.send(data, syn, 5, typed("x"))
		p.send(data, syn, 7, typed("y"))
		p.expectReset(7, acceptQueueFull)
	})
}

// A peer that provokes answers and does not read them is cut off.
func TestAnswersThatNobodyReadsEndTheSession(t *testing.T) {
	against(t, mux.Config{Limits: mux.Limits{PeerStreams: 1}}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		for i := range uint32(100000) {
			if _, err := p.conn.Write(encode(data, syn, 3+2*i, 4, typed(""))); err != nil {
				break
			}
		}
		<-s.Done()
		if cause := s.Cause(); cause.Code != postern.CodeProtocolViolation {
			t.Errorf("the cause is %v", cause)
		}
	})
}

// An incoming stream that keeps its type back blocks nobody and is reset in time.
func TestTypeIsReadInTheStreamsOwnTime(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(data, syn, 3, word(3)[:2])
		p.send(data, syn, 5, typed("quick"))
		p.send(data, syn, 7, word(9)[:1])
		p.send(data, 0, 7, word(9)[1:3])
		p.send(data, 0, 7, append(word(9)[3:], "slow"...))
		for _, want := range []struct {
			id, streamType uint32
			text           string
		}{{5, 3, "quick"}, {7, 9, "slow"}} {
			streamType, st, err := s.Accept(t.Context())
			if err != nil || st.ID() != want.id || streamType != want.streamType {
				t.Fatalf("accepted stream %d of type %d, %v", st.ID(), streamType, err)
			}
			got := make([]byte, len(want.text))
			if _, err := io.ReadFull(st, got); err != nil || string(got) != want.text {
				t.Errorf("read %q, %v", got, err)
			}
		}
		started := time.Now()
		p.expectReset(3, cancelled)
		if waited := time.Since(started); waited > 11*time.Second {
			t.Errorf("the reset took %s", waited)
		}
	})
}

func TestStreamThatEndsBeforeItsType(t *testing.T) {
	against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		p.send(data, syn|fin, 3, word(3)[:2])
		p.expectReset(3, cancelled)
		p.send(data, syn, 5, word(3)[:2])
		p.send(rst, 0, 5, word(cancelled))
		synctest.Wait()
		if n := s.Streams(); n != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
}

// The session's memory is bounded, and the stream that holds most of it pays.
func TestMemoryCapResetsTheHog(t *testing.T) {
	against(t, mux.Config{Limits: mux.Limits{Buffered: 128 << 10}}, func(t *testing.T, s *mux.Session, p *rawPeer) {
		go func() { _, _ = io.Copy(io.Discard, p.conn) }()
		p.send(data, syn, 3, append(typed(""), make([]byte, 100<<10)...))
		_, hog, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.send(data, syn, 5, append(typed(""), make([]byte, 60<<10)...))
		_, modest, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // what is read as it comes takes no memory
		if n, err := io.ReadFull(modest, make([]byte, 60<<10)); err != nil {
			t.Errorf("the modest stream lost bytes: %d, %v", n, err)
		}
		if _, err := hog.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeStreamReset) {
			t.Errorf("the hog reads on: %v", err)
		}
	})
}

// B5-31: whatever is cut off, and wherever, the session ends and says why.
func TestTruncatedFrames(t *testing.T) {
	whole := bytes.Join([][]byte{
		encode(data, syn, 3, 9, typed("hello")),
		encode(wndinc, 0, 3, 4, word(100)),
		encode(data, 0, 3, 3, []byte("abc")),
		encode(rst, 0, 3, 4, word(cancelled)),
		encode(goaway, 0, 0, 12, make([]byte, 12)),
	}, nil)
	for n := range len(whole) {
		against(t, mux.Config{}, func(t *testing.T, s *mux.Session, p *rawPeer) {
			p.write(whole[:n])
			_ = p.conn.(*testkit.PipeConn).CloseWrite()
			<-s.Done()
			if cause := s.Cause(); cause.Code != postern.CodeLinkLost {
				t.Errorf("cut after %d bytes: %v", n, cause)
			}
		})
	}
}

// Endless empty frames keep a session busy and cost it nothing.
func TestEndlessHeaders(t *testing.T) {
	a, b := loopback(t)
	s := mux.New(b, mux.Config{})
	var flood bytes.Buffer
	flood.Write(encode(data, syn, 3, 4, typed("")))
	for flood.Len() < 1<<20 {
		flood.Write(encode(data, 0, 3, 0, nil))
		flood.Write(encode(7, 0, 3, 0, nil))
		flood.Write(encode(wndinc, 0, 9, 4, word(1)))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := a.Write(flood.Bytes()); err != nil {
		t.Fatal(err)
	}
	a.(*net.TCPConn).CloseWrite()
	<-s.Closed()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d KiB were allocated for %d KiB of headers", grown>>10, flood.Len()>>10)
	}
	a.Close()
}
