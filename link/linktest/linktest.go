// Package linktest is the conformance suite of package link: what an adapter must
// do whatever its wire is. An adapter's test is three lines:
//
//	func TestConformance(t *testing.T) {
//		linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) { … })
//	}
package linktest

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// patience bounds everything that should happen soon; a test that reaches it has
// found a stream that hangs.
const patience = 30 * time.Second

// soon is a deadline that a test wants to see pass.
const soon = 50 * time.Millisecond

// Open makes both ends of one fresh session. closeAll ends it and everything that
// open started, and returns when that is done. An opener that has a method Drain()
// is tested for it.
type Open func(t *testing.T) (server link.Opener, agent link.Acceptor, closeAll func())

// Run runs the suite. Every test gets a session of its own and must leave no
// goroutine behind.
func Run(t *testing.T, open func(t *testing.T) (server link.Opener, agent link.Acceptor, closeAll func())) {
	tests := []struct {
		name string
		run  func(*testing.T, *ends)
	}{
		{"HeaderAndFirstBytesArriveWithTheOpen", headerAndFirst},
		{"EmptyFirstLetsTheAgentSpeak", emptyFirst},
		{"BytesKeepTheirOrder", ordering},
		{"HalfCloseByTheServer", halfCloseByServer},
		{"HalfCloseByTheAgent", halfCloseByAgent},
		{"LargeTransfersBothWaysAtOnce", largeBothWays},
		{"ReadDeadline", readDeadline},
		{"ReadDeadlineFreesAPendingRead", readDeadlineFreesPending},
		{"WriteDeadline", writeDeadline},
		{"ResetByTheServer", resetByServer},
		{"ResetByTheAgent", resetByAgent},
		{"ResetFreesPendingCalls", resetFreesPending},
		{"ResetAfterCloseDoesNothing", resetAfterClose},
		{"CloseFreesAPendingRead", closeFreesPending},
		{"ConcurrentClose", concurrentClose},
		{"StalledReadersHarmNobody", stalledReaders},
		{"StreamsTellWhetherSomethingHasCome", readable},
		{"StreamsThatCanBeAwaitedWake", awaitable},
		{"PumpsHandOnAndFetch", pumps},
		{"ManyStreams", manyStreams},
		{"OpenAfterDrain", openAfterDrain},
		{"AcceptHonoursItsContext", acceptContext},
		{"TheSessionsEndIsAnErrorEverywhere", sessionEnd},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			server, agent, closeAll := open(t)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			e := &ends{ctx: ctx, server: server, agent: agent, closeAll: closeAll}
			test.run(t, e)
			e.close()
			cancel()
			goleak.VerifyNone(t, before)
		})
	}
}

// ends is one session under test.
type ends struct {
	ctx      context.Context
	server   link.Opener
	agent    link.Acceptor
	closeAll func()
	closed   bool
}

func (e *ends) close() {
	if !e.closed {
		e.closed = true
		e.closeAll()
	}
}

func sampleHeader() link.Header {
	return link.Header{
		Endpoint:   "ep_conformance",
		ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711"),
		Scheme:     postern.TCP,
	}
}

// open starts one stream and returns both its ends.
func (e *ends) open(t *testing.T, first []byte) (server, agent link.Stream) {
	t.Helper()
	server, err := e.server.Open(e.ctx, sampleHeader(), first)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	_, agent, err = e.agent.Accept(e.ctx)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	limit, _ := e.ctx.Deadline()
	for _, st := range []link.Stream{server, agent} {
		if err := st.SetDeadline(limit); err != nil {
			t.Fatalf("SetDeadline: %v", err)
		}
	}
	return server, agent
}

// pattern is n bytes that no shift of themselves equals.
func pattern(n int, seed uint32) []byte {
	b := make([]byte, n)
	x := seed*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func mustWrite(t *testing.T, w io.Writer, p []byte) {
	t.Helper()
	if n, err := w.Write(p); n != len(p) || err != nil {
		t.Errorf("Write: %d of %d bytes, %v", n, len(p), err)
	}
}

func mustRead(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Errorf("Read: %d of %d bytes, %v", n, len(want), err)
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read other bytes than were written (%d bytes)", len(want))
	}
}

// mustEnd expects exactly want and then a clean end.
func mustEnd(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("read %d of %d bytes, then %v", len(got), len(want), err)
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes up to the end, other than the %d that were written", len(got), len(want))
	}
}

func mustClose(t *testing.T, streams ...link.Stream) {
	t.Helper()
	for _, st := range streams {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
