package relay

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
)

// Pipe relays between a and b until both directions have ended, and closes both. It
// blocks. An end of file on one side becomes CloseWrite on the other while the
// opposite direction goes on. Any other end (an error, the end of ctx, Options'
// deadlines) aborts both sides, see Abort, so that nobody takes a part for the
// whole. Nobody else may read, write or set deadlines meanwhile.
//
// When writing to one side fails, its last words are still delivered if they come at
// once: a service that answers early and closes is heard.
//
// A direction holds 512 bytes while it is quiet and takes a large buffer only while bytes
// pour; between two TCP connections the kernel moves them (splice) where it can.
func Pipe(ctx context.Context, a, b Conn, o Options) Result {
	p := &pipe{a: a, b: b, options: o, started: time.Now()}
	if p.options.Counters == nil {
		p.options.Counters = new(Counters)
	}
	stop := context.AfterFunc(ctx, func() { p.fail(Neither, cancelled(ctx)) })
	defer stop()

	forth := &direction{pipe: p, src: a, dst: b, from: A, to: B, total: &p.options.Counters.AToB}
	back := &direction{pipe: p, src: b, dst: a, from: B, to: A, total: &p.options.Counters.BToA}
	forth.opposite, back.opposite = back, forth
	var other sync.WaitGroup
	other.Go(forth.run)
	back.run()
	other.Wait()

	p.close()
	p.cancelLater()
	p.mu.Lock() // the end of ctx may come at this very moment
	defer p.mu.Unlock()
	return Result{AToB: forth.moved, BToA: back.moved, Err: p.err, By: p.by}
}

type pipe struct {
	a, b    Conn
	options Options
	started time.Time
	last    atomic.Int64 // when the last byte moved, in nanoseconds since started

	mu      sync.Mutex
	err     *postern.Error // the first failure
	by      Side
	aborted bool
	later   *time.Timer
}

// touch notes that a byte has moved.
func (p *pipe) touch() { p.last.Store(int64(time.Since(p.started))) }

// idleFor is how long nothing has moved.
func (p *pipe) idleFor() time.Duration {
	return time.Since(p.started) - time.Duration(p.last.Load())
}

// fail ends the pipe abnormally, now; only the first failure counts.
func (p *pipe) fail(by Side, why *postern.Error) {
	p.note(by, why)
	p.abort(why)
}

// note remembers a failure without ending anything yet.
func (p *pipe) note(by Side, why *postern.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err, p.by = why, by
	}
}

func (p *pipe) ended() *postern.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// close ends both sides after both directions have: in peace, unless something
// failed. A side that only stopped listening (see direction.writeFailed) has said
// all it had to say, and a reset could overtake its last words.
func (p *pipe) close() {
	if err := p.ended(); err != nil && !errors.Is(err, syscall.EPIPE) {
		p.abort(err)
		return
	}
	_ = p.a.Close()
	_ = p.b.Close()
}

func (p *pipe) abort(why *postern.Error) {
	p.mu.Lock()
	already := p.aborted
	p.aborted = true
	p.mu.Unlock()
	if !already {
		Abort(p.a, why)
		Abort(p.b, why)
	}
}

// abortLater gives the side that failed a moment for its last words.
func (p *pipe) abortLater(why *postern.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.later == nil {
		p.later = time.AfterFunc(lastWords, func() { p.abort(why) })
	}
}

func (p *pipe) cancelLater() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.later != nil {
		p.later.Stop()
	}
}

// cancelled says why a context ended; a cause with a code keeps it.
func cancelled(ctx context.Context) *postern.Error {
	cause := context.Cause(ctx)
	var coded *postern.Error
	if errors.As(cause, &coded) {
		return coded
	}
	return postern.Errorf(postern.CodeStreamReset, "the connection was ended here").Because(cause)
}

// broken gives a code to a connection's error; a stream's own code is kept.
func broken(err error) *postern.Error {
	var coded *postern.Error
	if errors.As(err, &coded) {
		return coded
	}
	return (&postern.Error{Code: postern.CodeStreamReset}).Because(err)
}

// timedOut tells whether a read or write met its deadline.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
