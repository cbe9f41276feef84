package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// live is one session from its start to its end.
type live struct {
	s       *Supervisor
	client  Client // set once connected, before anybody else sees the session
	began   time.Time
	ctx     context.Context // ends with the session
	cancel  context.CancelFunc
	workers sync.WaitGroup
	bound   chan struct{} // closed when every endpoint was asked for once
}

func newLive(s *Supervisor, work context.Context) *live {
	l := &live{s: s, bound: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(work)
	return l
}

// start begins to accept streams, before anything is bound: the first stream may
// arrive together with the answer to a bind.
func (l *live) start() {
	l.workers.Go(l.acceptStreams)
	l.workers.Go(l.watchLiveness)
	l.workers.Go(l.keepBound)
}

// outcome is why serve returned.
type outcome int

const (
	lost     outcome = iota // the session ended, or is being replaced: make another
	stopping                // the agent is to end: the session is still there
)

// serve waits for the session's end. A session that the server drains is left to
// end on its own, in the background.
func (l *live) serve(ctx context.Context) outcome {
	select {
	case <-ctx.Done():
		return stopping
	case <-l.client.Draining():
		l.s.log.InfoContext(ctx, "server is draining, making a new session", logObject)
		l.detach()
		l.s.retired.Go(l.retire)
		// At once, unless the server sends every new session away again.
		if wait := l.pause(); time.Since(l.began) < usefulLife {
			sleep(ctx, wait)
		}
		return lost
	case <-l.client.Done():
	}
	why := l.client.Cause()
	l.detach()
	l.finish()
	l.s.log.InfoContext(ctx, "session closed, starting reconnect loop", logObject, slog.Any("err", describe(why)))
	l.s.setStatus(func(st *Status) { st.State, st.Why = Reconnecting, why })
	sleep(ctx, l.pause())
	return lost
}

// pause is how long to wait after this session before the first attempt at another.
func (l *live) pause() time.Duration {
	now := time.Now()
	return l.s.backoff.lost(now.Sub(l.began), now)
}

// detach makes every endpoint of this session one that the next must bind.
func (l *live) detach() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.current == l {
		l.s.current = nil
	}
	for _, b := range l.s.bindings {
		if b.on == l {
			b.on = nil
		}
	}
}

// mostRetired is over how long the streams of a session that was replaced may go on.
// The server that drains decides, and ends the session; this is for one that does not.
const mostRetired = 24 * time.Hour

// retire lets the streams of a draining session finish: a long download goes on
// although the session's successor has taken over.
func (l *live) retire() {
	timer := time.NewTimer(mostRetired)
	defer timer.Stop()
	select {
	case <-l.client.Done():
	case <-l.ctx.Done():
	case <-timer.C:
	}
	l.end(postern.Errorf(postern.CodeLinkDraining, "the session was replaced by a new one"))
}

// end closes the session and waits for its workers.
func (l *live) end(why *postern.Error) {
	l.client.Close(why)
	l.detach()
	l.finish()
}

func (l *live) finish() {
	l.cancel()
	l.workers.Wait()
}

// acceptStreams hands every stream to its endpoint's handler until the session
// ends. Streams belong to the Supervisor, not to the session's workers: they end
// by themselves, or when drain has lost its patience.
func (l *live) acceptStreams() {
	for {
		header, stream, err := l.client.Accept(l.ctx)
		if err != nil {
			// However it ended, nothing more will come: a session without its accept
			// loop must not look alive.
			l.client.Close(postern.AsError(err))
			return
		}
		l.s.streams.Start()
		go l.serveStream(header, stream)
	}
}

func (l *live) serveStream(h link.Header, stream link.Stream) {
	defer l.s.streams.Finish()
	b := l.find(h.Endpoint)
	if b == nil {
		stream.Reset(postern.Errorf(postern.CodeEndpointUnknown, "this agent has no such endpoint"))
		return
	}
	if _, tells := b.handler.(*Forward); !tells {
		tellJoin(l.ctx, l.s.log, b.address, h)
	}
	l.s.serveCounted(l.ctx, b, h, stream)
}

// find looks an endpoint up by its bind id. A stream can overtake the answer to
// the bind that it belongs to, so an unknown id is waited for while binds are out.
func (l *live) find(id string) *binding {
	for patience := time.After(callPatience); ; {
		l.s.mu.Lock()
		asking, answered := false, l.s.answered
		for _, b := range l.s.bindings {
			if b.bound.ID == id {
				l.s.mu.Unlock()
				return b
			}
			asking = asking || b.on == l && b.bound.ID == ""
		}
		l.s.mu.Unlock()
		if !asking {
			return nil
		}
		select {
		case <-answered:
		case <-patience:
			return nil
		case <-l.ctx.Done():
			return nil
		}
	}
}

// tellJoin is the line that a stream and what serves it belong together; the time of
// making it is saved where nobody reads it.
func tellJoin(ctx context.Context, log *slog.Logger, local string, h link.Header, more ...any) {
	if log.Enabled(ctx, slog.LevelInfo) {
		log.InfoContext(ctx, "join connections", append([]any{slog.String("obj", "join"),
			slog.String("id", joinID()), slog.String("l", local), slog.String("r", h.ClientAddr.String())}, more...)...)
	}
}

// joinID marks the log lines of one stream.
func joinID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}
