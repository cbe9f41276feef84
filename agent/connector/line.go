package connector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link"
)

// line is the connection to a gateway with a set of its remotes, made again whenever it
// ends. A gateway has one; over chisel's wire, whose remotes cannot change, those that a
// reload adds get a line of their own.
type line struct {
	c       *Connector
	gateway string
	route   *route
	backoff *backoff
	log     *slog.Logger
	connect connector

	streams run.InFlight

	kick  chan struct{} // a hang-up: stop waiting
	look  chan struct{} // the ports have changed
	leave context.CancelFunc
	left  context.Context // ends when the line is to go

	mu      sync.Mutex
	ports   []*port
	current wire // nil while there is none
	since   time.Time
	latency time.Duration
	made    int64 // connections, over all
	why     error // of the last failure; nil while connected
	waiting bool  // in back-off
}

// connector makes one connection that offers remotes; the time is the gateway's latency.
type connector func(ctx context.Context, remotes []Remote) (wire, time.Duration, error)

// instanceID is nine digits, as outsystemscc has them.
func instanceID() string {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000))
	if err != nil { // cannot happen: crypto/rand ends the process instead
		n = big.NewInt(0)
	}
	return fmt.Sprint(n.Int64() + 100_000_000)
}

// ErrGaveUp ends a connector whose attempts were counted; its log has said why.
var ErrGaveUp = errors.New("gave up")

// run keeps the line until ctx or the line ends, then drains it. work outlives ctx: it
// is what streams live by. It fails with ErrGaveUp, or with a definite refusal of the
// first connection where that is to end the connector.
func (l *line) run(ctx, work context.Context) error {
	ctx, cancel := joinDone(ctx, l.left)
	defer cancel()
	l.tellConnecting(ctx)
	for first := true; ; first = false {
		w, latency, err := l.connect(ctx, l.remotes())
		if ctx.Err() != nil {
			if err == nil {
				w.Close(stopping())
			}
			l.log.InfoContext(work, msgCancelled)
			return nil
		}
		if err == nil {
			lived := time.Now()
			err = l.serve(ctx, work, w, latency)
			if ctx.Err() != nil {
				return nil
			}
			if time.Since(lived) > steadyLife {
				l.backoff.reset()
			}
		}
		l.note(err)
		if first && l.c.config.FailFast && refused(err) && !postern.HasCode(err, postern.CodeTooManyFailures) {
			return err
		}
		l.tellFailed(ctx, err)
		if l.backoff.exhausted() {
			l.log.ErrorContext(ctx, msgGiveUp)
			return ErrGaveUp
		}
		if !l.pause(ctx, l.backoff.next(err)) {
			l.log.InfoContext(work, msgCancelled)
			return nil
		}
	}
}

// pause waits, or until a hang-up says to go on; false: ctx ended first.
func (l *line) pause(ctx context.Context, d time.Duration) bool {
	l.log.InfoContext(ctx, msgRetrying, slog.Duration("in", d))
	timer := time.NewTimer(d)
	defer timer.Stop()
	l.mu.Lock()
	l.waiting = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting = false
		l.mu.Unlock()
	}()
	select {
	case <-l.kick: // of a time when nobody waited
	default:
	}
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-l.kick:
		return true
	case <-ctx.Done():
		return false
	}
}

// hangup ends a wait.
func (l *line) hangup() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// serve works with one connection until it ends, and returns why. When ctx ends it
// drains; a gateway that asks for a new connection gets one at once, while the streams of
// this one finish.
func (l *line) serve(ctx, work context.Context, w wire, latency time.Duration) error {
	l.mu.Lock()
	l.current, l.since, l.latency, l.why = w, time.Now(), latency, nil
	l.made++
	l.mu.Unlock()
	l.log.InfoContext(ctx, msgConnected, slog.Duration("latency", latency), slog.String("wire", w.Name()))
	l.c.notify()

	lifetime, end := context.WithCancel(work)
	var workers sync.WaitGroup
	workers.Go(func() { l.accept(lifetime, w) })
	workers.Go(func() { l.watchLiveness(lifetime, w) })
	workers.Go(func() { l.keepOffered(lifetime, w) })
	finish := func() {
		l.detach(w)
		end()
		workers.Wait()
	}
	select {
	case <-w.Done():
		finish()
		l.log.InfoContext(ctx, msgDisconnected)
		if why := w.Cause(); why != nil {
			return why
		}
		return io.EOF
	case <-w.Draining():
		l.log.InfoContext(ctx, "the gateway is draining, making a new connection")
		l.detach(w)
		l.c.retired.Go(func() {
			retire(lifetime, w)
			finish()
		})
		return io.EOF
	case <-ctx.Done():
		l.drain(work, w)
		finish()
		return ctx.Err()
	}
}

// mostRetired is over how long the streams of a connection that was replaced may go on,
// where the gateway does not end it.
const mostRetired = 24 * time.Hour

func retire(ctx context.Context, w wire) {
	timer := time.NewTimer(mostRetired)
	defer timer.Stop()
	select {
	case <-w.Done():
	case <-ctx.Done():
	case <-timer.C:
	}
	w.Close(postern.Errorf(postern.CodeLinkDraining, "the connection was replaced by a new one"))
}

// drain ends a connection without failing a consumer: its ports go offline where the
// wire can do that, what is open finishes, and only then it ends.
func (l *line) drain(work context.Context, w wire) {
	ctx, cancel := context.WithTimeout(work, l.c.drainTime())
	defer cancel()
	if !w.Fixed() {
		var asked sync.WaitGroup
		for _, p := range l.portsNow() {
			asked.Go(func() { _ = w.Withdraw(ctx, p.Key) }) // the end of the connection does it too
		}
		asked.Wait()
	}
	stop := context.AfterFunc(ctx, func() { w.Close(stopping()) })
	defer stop()
	if left := l.streams.Wait(ctx); left > 0 {
		l.log.WarnContext(work, "connections were cut off at the end of the drain", slog.Int("open", left))
	}
	w.Close(stopping())
}

func stopping() *postern.Error {
	return postern.Errorf(postern.CodeLinkDraining, "the connector is stopping")
}

// detach makes a connection one that is not the line's any longer.
func (l *line) detach(w wire) {
	l.mu.Lock()
	if l.current == w {
		l.current = nil
	}
	ports := l.ports
	l.mu.Unlock()
	for _, p := range ports {
		p.mu.Lock()
		if p.offered == w {
			p.offered = nil
		}
		p.mu.Unlock()
	}
	l.c.notify()
}

// accept hands every stream to its port until the connection ends.
func (l *line) accept(ctx context.Context, w wire) {
	for {
		key, header, stream, err := w.Accept(ctx)
		if err != nil {
			w.Close(postern.AsError(err)) // without anybody who accepts it must not look alive
			return
		}
		if key.Network != udp { // of flows nobody knows when they end: a stop does not wait for them
			l.streams.Start()
		}
		l.c.crew.Go(func() { l.serveStream(ctx, key, header, stream) })
	}
}

// serveStream finds a stream's port and serves it; a failure of ours is this stream's
// alone.
func (l *line) serveStream(ctx context.Context, key Key, header link.Header, stream link.Stream) {
	defer func() {
		if reason := recover(); reason != nil {
			l.log.ErrorContext(ctx, "serving a connection failed", slog.Any("panic", reason))
		}
	}()
	ended := func() {}
	if key.Network != udp {
		ended = l.streams.Finish
	}
	p := l.port(key)
	if p != nil && l.left.Err() == nil && !l.c.isDraining() {
		p.serve(ctx, header, stream, &l.c.crew, ended)
		return
	}
	defer ended()
	if p != nil {
		p.refuse(ctx, header, stream, stopping())
		return
	}
	stream.Reset(postern.Errorf(postern.CodeEndpointUnknown, "the connector has no such remote"))
	_ = stream.Close()
	l.log.WarnContext(ctx, "a connection for a remote that is not declared was refused", consumer(header), slog.String("remote", key.String()))
}

// port finds what serves a key; nil where nothing does, or no longer.
func (l *line) port(k Key) *port {
	for _, p := range l.portsNow() {
		if p.Key == k && !p.gone() {
			return p
		}
	}
	return nil
}

func (l *line) portsNow() []*port {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ports
}

// remotes are what a new connection offers.
func (l *line) remotes() []Remote {
	var all []Remote
	for _, p := range l.portsNow() {
		if !p.gone() {
			all = append(all, p.Remote)
		}
	}
	return all
}

func (l *line) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = err
}

// joinDone returns a context that ends with either of two.
func joinDone(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	unhook := context.AfterFunc(b, cancel)
	return ctx, func() { unhook(); cancel() }
}
