package mux_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// move is the frame that ends a direction here and says where it goes on.
const move = 4

// moving is against, with a peer that may move its streams.
func moving(t *testing.T, test func(t *testing.T, s *mux.Session, peer *rawPeer)) {
	against(t, rich, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		s.AllowMoves()
		test(t, s, peer)
	})
}

func TestAMoveEndsADirectionAndSaysWhereItGoesOn(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		peer.send(data, syn, 3, typed("hello"))
		peer.send(move, 0, 3, word(7))
		_, st, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(st)
		if string(b) != "hello" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		if to, moved := st.Moved(); to != 7 || !moved || !st.Ended() {
			t.Errorf("moved %v to %d, ended %v", moved, to, st.Ended())
		}
		if _, err := st.Write([]byte("back")); err != nil {
			t.Errorf("the other direction: %v", err)
		}
		if f := peer.next(); f.kind != data || string(f.body) != "back" {
			t.Errorf("got %+v", f)
		}
		if err := st.Move(9); err != nil {
			t.Error(err)
		}
		if f := peer.next(); f.kind != move || f.stream != 3 || f.code() != 9 {
			t.Errorf("got %+v", f)
		}
		if _, err := st.Write([]byte("late")); err == nil {
			t.Error("a Write after the move")
		}
		if err := st.Move(10); err == nil {
			t.Error("a second move")
		}
		if n := s.Streams(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// An end in order is not a move.
func TestAFinIsNoMove(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		peer.send(data, syn|fin, 3, typed(""))
		_, st, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = st.Read(make([]byte, 1))
		if _, moved := st.Moved(); moved || err != io.EOF {
			t.Errorf("moved %v, %v", moved, err)
		}
		_ = st.Close()
	})
}

func TestMovesThatBreakTheProtocol(t *testing.T) {
	t.Run("without an agreement", func(t *testing.T) {
		against(t, rich, func(t *testing.T, _ *mux.Session, peer *rawPeer) {
			peer.send(data, syn, 3, typed(""))
			peer.send(move, 0, 3, word(1))
			peer.expectEnd(protocolError)
		})
	})
	t.Run("of the session", func(t *testing.T) {
		moving(t, func(t *testing.T, _ *mux.Session, peer *rawPeer) {
			peer.send(move, 0, 0, word(1))
			peer.expectEnd(protocolError)
		})
	})
	t.Run("too short", func(t *testing.T) {
		moving(t, func(t *testing.T, _ *mux.Session, peer *rawPeer) {
			peer.send(move, 0, 3, []byte{1})
			peer.expectEnd(frameSizeError)
		})
	})
	t.Run("of no stream", func(t *testing.T) {
		moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
			peer.send(move, 0, 3, word(1))
			synctest.Wait()
			if why := s.Cause(); why != nil {
				t.Errorf("it ended the session: %v", why)
			}
		})
	})
	t.Run("after the end", func(t *testing.T) {
		moving(t, func(t *testing.T, _ *mux.Session, peer *rawPeer) {
			peer.send(data, syn|fin, 3, typed(""))
			peer.send(move, 0, 3, word(1))
			peer.expectReset(3, streamClosed)
		})
	})
	t.Run("of a heartbeat", func(t *testing.T) {
		moving(t, func(t *testing.T, _ *mux.Session, peer *rawPeer) {
			peer.send(data, syn, 3, word(0xFFFFFFFF))
			peer.send(move, 0, 3, word(1))
			peer.expectReset(3, cancelled)
		})
	})
	t.Run("to a muxado peer it is a kind of the future", func(t *testing.T) {
		against(t, mux.Config{}, func(t *testing.T, s *mux.Session, peer *rawPeer) {
			peer.send(move, 0, 3, word(1))
			synctest.Wait()
			if why := s.Cause(); why != nil {
				t.Errorf("it ended the session: %v", why)
			}
		})
	})
}

// Streams that go aside come with their head, however it is cut and even when they
// have been reset meanwhile, and do not pass through Accept.
func TestAside(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		s.SetAside(3, 2)
		peer.send(data, syn, 3, typed("12"))
		peer.send(data, 0, 3, []byte("345678rest"))
		peer.send(data, syn, 5, typed("abcdefgh"))
		peer.send(rst, 0, 5, word(cancelled))
		peer.send(data, syn, 7, typed("refused!")) // two wait already
		peer.expectReset(7, acceptQueueFull)
		peer.send(data, syn, 9, append(word(1), "other"...))
		head, st, err := s.AcceptAside(t.Context())
		if err != nil || string(head[:]) != "12345678" {
			t.Fatalf("%q, %v", head, err)
		}
		rest := make([]byte, 4)
		if _, err := io.ReadFull(st, rest); err != nil || string(rest) != "rest" {
			t.Errorf("%q, %v", rest, err)
		}
		head, gone, err := s.AcceptAside(t.Context())
		if err != nil || string(head[:]) != "abcdefgh" {
			t.Fatalf("%q, %v", head, err)
		}
		var coded *postern.Error
		if _, err := gone.Read(rest); !errors.As(err, &coded) {
			t.Errorf("a stream that was reset: %v", err)
		}
		if streamType, _, err := s.Accept(t.Context()); streamType != 1 || err != nil {
			t.Errorf("Accept gave type %d, %v", streamType, err)
		}
		_ = st.Close()
	})
}

func TestAcceptAsideEnds(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, _ *rawPeer) {
		s.SetAside(3, 2)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.AcceptAside(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		s.Close(nil)
		if _, _, err := s.AcceptAside(t.Context()); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("got %v", err)
		}
	})
}

// What is in flight is what was sent and not read, of streams that live.
func TestInFlight(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		st, err := s.Open(t.Context(), 3, make([]byte, 96))
		if err != nil {
			t.Fatal(err)
		}
		_ = peer.next()
		if n := s.InFlight(); n != 100 {
			t.Errorf("%d bytes in flight after 100", n)
		}
		peer.send(wndinc, 0, st.ID(), word(60))
		synctest.Wait()
		if n := s.InFlight(); n != 40 {
			t.Errorf("%d bytes in flight after 60 of 100 were read", n)
		}
		peer.send(wndinc, 0, st.ID(), word(1<<20)) // more room than was used
		synctest.Wait()
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d bytes in flight after all were read", n)
		}
		_, _ = st.Write(make([]byte, 10))
		st.Reset(nil)
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d bytes in flight of no stream", n)
		}
	})
}

// A stream that moved is given at once the window that it had.
func TestWiden(t *testing.T) {
	moving(t, func(t *testing.T, s *mux.Session, peer *rawPeer) {
		peer.send(data, syn, 3, typed(""))
		_, st, err := s.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st.Widen(1 << 20)
		f := peer.next()
		if f.kind != wndinc || f.code() != 1<<20-256<<10 || st.Window() != 1<<20 {
			t.Errorf("got %+v, the window is %d", f, st.Window())
		}
		st.Widen(1 << 10) // never less
		if st.Window() != 1<<20 {
			t.Errorf("the window is %d", st.Window())
		}
		_ = st.Close()
	})
}

// Sessions of one peer share a budget: whoever holds most pays, on whichever session
// the bytes come that find none left.
func TestASharedBudgetIsPaidByWhoHoldsMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := mux.NewBudget()
		config := mux.Config{RichResets: true, Budget: budget, Window: 1 << 20, MaxWindow: 1 << 20, Limits: mux.Limits{Buffered: 1 << 20}}
		var peers []*rawPeer
		var sessions []*mux.Session
		var streams []*mux.Stream
		for range 2 {
			a, b := testkit.Pipe()
			s := mux.New(b, config)
			peer := &rawPeer{t, a}
			peer.send(data, syn, 3, typed(""))
			_, st, err := s.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sessions, peers, streams = append(sessions, s), append(peers, peer), append(streams, st)
		}
		b := make([]byte, 16<<10)
		for range 44 {
			peers[0].send(data, 0, 3, b)
		}
		for range 30 {
			peers[1].send(data, 0, 3, b)
		}
		synctest.Wait()
		if _, err := streams[0].Read(b); !postern.HasCode(err, postern.CodeStreamReset) {
			t.Errorf("who held most got %v", err)
		}
		if _, err := io.ReadFull(streams[1], b); err != nil {
			t.Errorf("who held less got %v", err)
		}
		for i, s := range sessions {
			_ = peers[i].conn.Close()
			s.Close(nil)
			<-s.Closed()
		}
	})
}
