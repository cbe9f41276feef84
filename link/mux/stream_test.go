package mux_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// bubble runs test in virtual time over an in-memory connection; cut breaks it.
func bubble(t *testing.T, c mux.Config, test func(t *testing.T, client, server *mux.Session, wire *testkit.FaultConn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := testkit.Pipe()
		wire := testkit.Fault(a)
		server := mux.New(b, c)
		c.Client = true
		client := mux.New(wire, c)
		test(t, client, server, wire)
		client.Close(nil)
		server.Close(nil)
		<-client.Closed()
		<-server.Closed()
	})
}

// opened is one stream, both ends.
func opened(t *testing.T, from, to *mux.Session) (near, far *mux.Stream) {
	t.Helper()
	near, err := from.Open(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	_, far, err = to.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

var rich = mux.Config{RichResets: true, Heartbeat: 10 * time.Second, Tolerance: 20 * time.Second}

// B5-5, B5-6: a black hole in one direction or both is noticed within 20 s.
func TestSilentPeerIsDead(t *testing.T) {
	for name, direction := range map[string]testkit.Direction{"reads": testkit.Reads, "writes": testkit.Writes, "both": testkit.Both} {
		t.Run(name, func(t *testing.T) {
			bubble(t, rich, func(t *testing.T, client, server *mux.Session, wire *testkit.FaultConn) {
				st, _ := opened(t, client, server)
				time.Sleep(35 * time.Second) // virtual: the heartbeats of an idle session
				if client.RTT() <= 0 || client.Cause() != nil || server.Cause() != nil {
					t.Fatalf("after 35 s: RTT %v, %v, %v", client.RTT(), client.Cause(), server.Cause())
				}
				wire.Stall(direction)
				cut := time.Now()
				_, err := st.Read(make([]byte, 1))
				if took := time.Since(cut); took > 20*time.Second {
					t.Errorf("the silence was noticed after %s", took)
				}
				if !postern.HasCode(err, postern.CodeLinkLost) {
					t.Errorf("Read gave %v", err)
				}
				<-server.Done()
				if took := time.Since(cut); took > 21*time.Second {
					t.Errorf("the other end noticed after %s", took)
				}
			})
		})
	}
}

// A connection that takes no more bytes ends the session, whoever writes.
func TestStalledWriteEndsTheSession(t *testing.T) {
	bubble(t, mux.Config{}, func(t *testing.T, client, server *mux.Session, wire *testkit.FaultConn) {
		st, far := opened(t, client, server)
		go func() { _, _ = io.Copy(io.Discard, far) }()
		wire.Stall(testkit.Both)
		started := time.Now()
		_, err := st.Write(make([]byte, 1<<20))
		if took := time.Since(started); !postern.HasCode(err, postern.CodeLinkLost) || took > 26*time.Second {
			t.Errorf("Write gave %v after %s", err, took)
		}
	})
}

// A Write with a near deadline keeps it even while the connection stalls, and the
// stream stays usable.
func TestWriteDeadlineOverAStalledConnection(t *testing.T) {
	bubble(t, mux.Config{}, func(t *testing.T, client, server *mux.Session, wire *testkit.FaultConn) {
		st, far := opened(t, client, server)
		wire.Stall(testkit.Writes)
		want := bytes.Repeat([]byte("0123456789"), 60<<10)
		started := time.Now()
		_ = st.SetWriteDeadline(started.Add(3 * time.Second))
		n, err := st.Write(want)
		if took := time.Since(started); !errors.Is(err, os.ErrDeadlineExceeded) || took != 3*time.Second {
			t.Fatalf("Write: %d bytes, %v after %s", n, err, took)
		}
		go wire.Resume(testkit.Writes)
		_ = st.SetWriteDeadline(time.Time{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := st.Write(want[n:]); err != nil {
				t.Error(err)
			}
			_ = st.CloseWrite()
		})
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d of %d bytes, %v", len(got), len(want), err)
		}
		wg.Wait()
	})
}

func TestCloseFreesAWriteThatWaitsForItsWindow(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		st, far := opened(t, client, server)
		var wg sync.WaitGroup
		var n int
		wg.Go(func() { n, _ = st.Write(make([]byte, 1<<20)) })
		synctest.Wait()
		_ = st.Close()
		wg.Wait()
		if got, err := io.ReadAll(far); err != nil || len(got) != n {
			t.Errorf("%d bytes were taken, %d arrived, %v", n, len(got), err)
		}
	})
}

func TestRichResetCarriesCodeAndText(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		near, far := opened(t, server, client)
		far.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "dial 127.0.0.1:8080: connection refused"))
		_, err := near.Read(make([]byte, 1))
		coded := postern.AsError(err)
		if coded.Code != postern.CodeUpstreamUnreachable || coded.Message != "dial 127.0.0.1:8080: connection refused" {
			t.Errorf("Read gave %v", err)
		}
		if _, err := near.Write([]byte("x")); !postern.HasCode(err, postern.CodeUpstreamUnreachable) {
			t.Errorf("Write gave %v", err)
		}
	})
}

func TestSessionEndCarriesItsReason(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		server.Close(postern.Errorf(postern.CodeCredentialRevoked, "Revoked by an operator."))
		<-client.Done()
		if cause := client.Cause(); cause.Code != postern.CodeCredentialRevoked || cause.Message != "Revoked by an operator." {
			t.Errorf("the agent learnt %v", cause)
		}
	})
}

func TestDrainIsToldToARichPeer(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		near, far := opened(t, server, client)
		server.Drain()
		<-client.Draining()
		for _, s := range []*mux.Session{client, server} {
			if _, err := s.Open(t.Context(), 3); !postern.HasCode(err, postern.CodeLinkDraining) {
				t.Errorf("Open gave %v", err)
			}
		}
		if _, err := near.Write([]byte("still")); err != nil {
			t.Error(err)
		}
		_ = near.CloseWrite()
		if got, err := io.ReadAll(far); err != nil || string(got) != "still" {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := server.Ping(t.Context()); err != nil {
			t.Errorf("Ping while draining: %v", err)
		}
	})
}

func TestOpenWaitsForItsSlot(t *testing.T) {
	c := rich
	c.Heartbeat, c.Limits.OpenStreams = 0, 2 // a heartbeat would take a slot
	bubble(t, c, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		first, far := opened(t, server, client)
		_, _ = opened(t, server, client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := server.Open(ctx, 3); !postern.HasCode(err, postern.CodeStreamLimit) {
			t.Errorf("the third Open gave %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := server.Open(t.Context(), 3); err != nil {
				t.Errorf("the queued Open gave %v", err)
			}
		})
		synctest.Wait()
		_ = first.Close()
		_ = far.Close()
		wg.Wait()
		wg.Go(func() {
			if _, err := server.Open(t.Context(), 3); !postern.HasCode(err, postern.CodeLinkDraining) {
				t.Errorf("an Open that waited for a drained session gave %v", err)
			}
		})
		synctest.Wait()
		server.Drain()
		wg.Wait()
	})
}

// A slot whose stream was closed here is not for ever the silent peer's.
func TestClosedStreamIsForgottenInTime(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		near, far := opened(t, server, client)
		_ = near.Close()
		synctest.Wait()
		if server.Streams() != 1 {
			t.Errorf("%d streams while the peer's end is open", server.Streams())
		}
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the far side read %v", err)
		}
		time.Sleep(16 * time.Second)
		if server.Streams() != 0 || client.Streams() != 0 {
			t.Errorf("%d and %d streams are left", server.Streams(), client.Streams())
		}
		if _, err := far.Write([]byte("x")); err == nil {
			t.Error("the far side still writes")
		}
	})
}

func TestPingFailsWithItsContext(t *testing.T) {
	bubble(t, mux.Config{}, func(t *testing.T, client, server *mux.Session, wire *testkit.FaultConn) {
		wire.Stall(testkit.Reads)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.Ping(ctx); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("Ping gave %v", err)
		}
	})
}

func TestWriteToHandsEverythingOn(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		near, far := opened(t, server, client)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go func() {
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)%9000)
				_, _ = near.Write(rest[:n])
				rest = rest[n:]
			}
			_ = near.CloseWrite()
		}()
		var got bytes.Buffer
		if n, err := far.WriteTo(&got); err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d of %d bytes, %v", n, len(want), err)
		}

		near, far = opened(t, server, client)
		_ = far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.WriteTo(io.Discard); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WriteTo after its deadline gave %v", err)
		}
		near.Reset(nil)
		if _, err := far.WriteTo(io.Discard); err == nil {
			t.Error("WriteTo of a reset stream ended cleanly")
		}
	})
}
