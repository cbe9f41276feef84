package linktest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// stalledReaders lets eight streams fill up and expects a ninth to be unharmed.
func stalledReaders(t *testing.T, e *ends) {
	const stalled = 8
	var wg sync.WaitGroup
	var streams []link.Stream
	for range stalled {
		server, agent := e.open(t, nil)
		streams = append(streams, server, agent)
		wg.Go(func() { _, _ = agent.Write(make([]byte, 64<<20)) })
		mustRead(t, server, []byte{0})
	}
	server, agent := e.open(t, nil)
	data := pattern(4<<20, 7)
	wg.Go(func() {
		mustWrite(t, agent, data)
		mustClose(t, agent)
	})
	mustEnd(t, server, data)
	mustClose(t, server)
	for _, st := range streams {
		st.Reset(nil)
	}
	wg.Wait()
}

// manyStreams echoes on many streams at once.
func manyStreams(t *testing.T, e *ends) {
	const streams, size = 100, 20 << 10
	var wg sync.WaitGroup
	wg.Go(func() {
		for range streams {
			_, st, err := e.agent.Accept(e.ctx)
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			wg.Go(func() {
				if _, err := io.Copy(st, st); err != nil {
					t.Errorf("echo: %v", err)
				}
				mustClose(t, st)
			})
		}
	})
	for i := range streams {
		wg.Go(func() {
			data := pattern(size, uint32(i))
			st, err := e.server.Open(e.ctx, sampleHeader(), data[:i])
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			mustWrite(t, st, data[i:])
			if err := st.CloseWrite(); err != nil {
				t.Errorf("CloseWrite: %v", err)
			}
			mustEnd(t, st, data)
			mustClose(t, st)
		})
	}
	wg.Wait()
}

// openAfterDrain wants new streams refused and old ones left alone.
func openAfterDrain(t *testing.T, e *ends) {
	drainer, ok := e.server.(interface{ Drain() })
	if !ok {
		return // an opener that is no session cannot drain
	}
	server, agent := e.open(t, nil)
	drainer.Drain()
	drainer.Drain()
	if _, err := e.server.Open(e.ctx, sampleHeader(), nil); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("Open after Drain gave %v", err)
	}
	mustWrite(t, server, []byte("ping"))
	mustRead(t, agent, []byte("ping"))
	mustWrite(t, agent, []byte("pong"))
	mustRead(t, server, []byte("pong"))
	mustClose(t, server, agent)
}

func acceptContext(t *testing.T, e *ends) {
	ctx, cancel := context.WithTimeout(e.ctx, soon)
	defer cancel()
	started := time.Now()
	_, _, err := e.agent.Accept(ctx)
	if err == nil || time.Since(started) > patience/2 {
		t.Errorf("Accept ended with %v after %s", err, time.Since(started))
	}
	if !errors.Is(err, context.DeadlineExceeded) && !postern.HasCode(err, postern.CodeLinkLost) {
		t.Errorf("Accept gave %v, not its context's end", err)
	}
	server, agent := e.open(t, []byte("later"))
	mustRead(t, agent, []byte("later"))
	mustClose(t, server, agent)
}
