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
// pour; between two TCP connections the kernel moves them (splice) where it can. One that
// is at rest and whose source can be awaited (link.Awaiter) has no goroutine.
func Pipe(ctx context.Context, a, b Conn, o Options) Result {
	p := newPipe(a, b, o)
	over := make(chan struct{})
	p.atEnd = func(Result) { close(over) }
	p.start(ctx)
	<-over
	return p.result()
}

// Run is Pipe for many connections that are at rest most of the time: it returns when
// nothing comes for a moment, and calls ended once, from any goroutine, when the pipe is
// over. Until then whatever moves has a goroutine, and what is at rest has none, or one
// with the smallest stack there is. A panic meanwhile ends this pipe alone, with
// CodeInternal.
func Run(ctx context.Context, a, b Conn, o Options, ended func(Result)) {
	p := newPipe(a, b, o)
	p.atEnd, p.leaves = ended, true
	p.start(ctx)
}

type pipe struct {
	a, b        Conn
	options     Options
	started     time.Time
	last        atomic.Int64 // when the last byte moved, in nanoseconds since started
	forth, back direction
	going       atomic.Int32 // directions that have not ended
	atEnd       func(Result)
	leaves      bool        // the caller's goroutine is given back, see Run
	stop        func() bool // watching the context

	mu      sync.Mutex
	err     *postern.Error // the first failure
	by      Side
	aborted bool
	later   *time.Timer
}

func newPipe(a, b Conn, o Options) *pipe {
	p := &pipe{a: a, b: b, options: o, started: time.Now()}
	if p.options.Counters == nil {
		p.options.Counters = new(Counters)
	}
	if p.options.Go == nil {
		p.options.Go = func(f func()) { go f() }
	}
	p.forth.init(p, A, &p.options.Counters.AToB)
	p.back.init(p, B, &p.options.Counters.BToA)
	return p
}

// start begins both directions, the one that can only be waited for in a Read on the
// caller's goroutine.
func (p *pipe) start(ctx context.Context) {
	p.going.Store(2)
	p.stop = context.AfterFunc(ctx, func() { p.fail(Neither, cancelled(ctx)) })
	here, there := &p.back, &p.forth
	if here.awaited != nil {
		here, there = there, here
	}
	there.begin()
	switch {
	case here.awaited != nil:
		here.begin()
	case p.leaves:
		here.goOn()
	default:
		here.run() // a panic is the caller's
	}
}

// finish ends what both directions have left.
func (p *pipe) finish() {
	p.stop()
	p.close()
	p.cancelLater()
	p.atEnd(p.result())
}

func (p *pipe) result() Result {
	p.mu.Lock() // the end of ctx may come at this very moment
	defer p.mu.Unlock()
	return Result{AToB: p.forth.moved, BToA: p.back.moved, Err: p.err, By: p.by}
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
