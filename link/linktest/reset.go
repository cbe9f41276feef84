package linktest

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

func resetByServer(t *testing.T, e *ends) {
	server, agent := e.open(t, []byte("half a requ"))
	expectReset(t, server, agent)
}

func resetByAgent(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	mustWrite(t, agent, []byte("half an answ"))
	expectReset(t, agent, server)
}

// expectReset resets one end and sees the other fail with a code.
func expectReset(t *testing.T, by, other link.Stream) {
	t.Helper()
	why := postern.Errorf(postern.CodeUpstreamUnreachable, "connection refused")
	by.Reset(why)
	by.Reset(postern.Errorf(postern.CodeInternal, "a second Reset does nothing"))
	_, err := io.Copy(io.Discard, other)
	mustBeCoded(t, err)
	for range 1000 { // the far side's Write learns of it with the next frames
		if _, err = other.Write([]byte("anybody there?")); err != nil {
			break
		}
	}
	mustBeCoded(t, err)
	if _, err := by.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("our own Read after Reset gave %v", err)
	}
	if _, err := by.Write([]byte("x")); err == nil {
		t.Error("our own Write after Reset took bytes")
	}
	mustClose(t, by, other)
}

// mustBeCoded wants the reset's own code, or the one for wires that carry none.
func mustBeCoded(t *testing.T, err error) {
	t.Helper()
	if !postern.HasCode(err, postern.CodeUpstreamUnreachable) && !postern.HasCode(err, postern.CodeStreamReset) {
		t.Errorf("the far side's call gave %v, not a coded reset", err)
	}
}

func resetFreesPending(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := agent.Write(make([]byte, 64<<20)) // nobody reads
		mustBeCoded(t, err)
	})
	wg.Go(func() {
		_, err := agent.Read(make([]byte, 1))
		mustBeCoded(t, err)
	})
	mustRead(t, server, []byte{0}) // the Write is under way
	server.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "gone"))
	wg.Wait()
	mustClose(t, server, agent)
}

func resetAfterClose(t *testing.T, e *ends) {
	server, agent := e.open(t, []byte("complete"))
	mustClose(t, server)
	server.Reset(postern.Errorf(postern.CodeInternal, "too late"))
	mustEnd(t, agent, []byte("complete"))
	mustClose(t, agent)
}

func closeFreesPending(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	result := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		result <- err
	}()
	mustClose(t, server)
	select {
	case err := <-result:
		if err == nil {
			t.Error("Read after Close gave bytes")
		}
	case <-e.ctx.Done():
		t.Fatal("Close did not free a pending Read")
	}
	mustEnd(t, agent, nil)
	mustClose(t, agent)
}

// concurrentClose ends one stream from everywhere while it is in use.
func concurrentClose(t *testing.T, e *ends) {
	for range 20 {
		server, agent := e.open(t, []byte("x"))
		var wg sync.WaitGroup
		for _, st := range []link.Stream{server, agent} {
			wg.Go(func() { _, _ = io.Copy(io.Discard, st) })
			wg.Go(func() { _, _ = st.Write(make([]byte, 512<<10)) })
			wg.Go(func() { _ = st.CloseWrite() })
			for range 3 {
				wg.Go(func() { _ = st.Close() })
			}
			wg.Go(func() { st.Reset(postern.Errorf(postern.CodeStreamReset, "race")) })
		}
		wg.Wait()
	}
}

// sessionEnd sees that nothing of a session outlives it quietly.
func sessionEnd(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	var wg sync.WaitGroup
	for _, st := range []link.Stream{server, agent} {
		wg.Go(func() {
			if _, err := st.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read over the session's end gave %v", err)
			}
		})
	}
	e.close()
	wg.Wait()
	var coded *postern.Error
	if _, _, err := e.agent.Accept(e.ctx); !errors.As(err, &coded) {
		t.Errorf("Accept after the session's end gave %v", err)
	}
	_, err := e.server.Open(e.ctx, sampleHeader(), nil)
	if !postern.HasCode(err, postern.CodeLinkLost) && !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("Open after the session's end gave %v", err)
	}
	mustClose(t, server, agent)
}
