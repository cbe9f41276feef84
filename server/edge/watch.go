package edge

import (
	"errors"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// watchAfter is how long an answer may take before somebody looks whether the visitor
// is still there. Most answers are quicker, and cost no goroutine.
const watchAfter = 250 * time.Millisecond

// watch notices, while the conversation's goroutine waits for the service, that the
// visitor has gone or that the service takes too long for its head, and then cuts the
// pair off, which ends the wait. It runs in a goroutine of its own, started by a
// timer, or by the sending of a body, which it follows. While it runs the visitor's
// connection is read by it alone, and c.in is its own.
type watch struct {
	c     *conversation
	timer *time.Timer
	done  chan struct{} // gets one when the goroutine ends

	running bool // a timer or a goroutine is; the conversation's
	byTimer bool

	mu       sync.Mutex
	pair     *upstreamConn
	cancel   func() // ends the opening of a pair
	headCome bool
	limit    time.Time // for the head of the answer; zero is none
	stopped  bool
	wake     chan struct{} // closed by end, where the goroutine cannot be reading
	why      error         // what was noticed
	cut      bool          // the pair was reset
}

func (w *watch) init(c *conversation) {
	w.c = c
	w.done = make(chan struct{}, 1)
}

// reset forgets the last exchange.
func (w *watch) reset() {
	w.pair, w.cancel, w.why, w.cut = nil, nil, nil, false
}

// start has the watch begin in a while. A body that is still to come tells by itself
// that the visitor is there.
func (w *watch) start() {
	if w.running || !w.c.upload.done.Load() {
		return
	}
	after := watchAfter
	if most := w.c.x.live.Timeouts.ResponseHeader; most > 0 {
		after = min(after, most)
	}
	w.running, w.byTimer, w.stopped = true, true, false
	if w.timer == nil {
		w.timer = time.AfterFunc(after, w.look)
	} else {
		w.timer.Reset(after)
	}
}

// run starts the goroutine with send, which tells whether to watch afterwards.
func (w *watch) run(send func() bool) {
	w.running, w.byTimer, w.stopped = true, false, false
	go w.sendThenLook(send)
}

func (w *watch) sendThenLook(send func() bool) {
	defer w.ended()
	if !send() {
		return
	}
	w.mu.Lock()
	w.setLimit(time.Now())
	w.mu.Unlock()
	w.loop()
}

// look is what the timer calls.
func (w *watch) look() {
	defer w.ended()
	w.loop()
}

func (w *watch) ended() { w.done <- struct{}{} }

// opening has cancel called if the visitor goes while a pair is being opened; the
// returned function must be called when that is over.
func (w *watch) opening(cancel func()) (over func()) {
	w.mu.Lock()
	w.cancel, w.limit, w.headCome = cancel, time.Time{}, false
	w.mu.Unlock()
	w.start()
	return w.over
}

// begin has pair cut off if the visitor goes, or the head of its answer does not come.
func (w *watch) begin(pair *upstreamConn) {
	w.mu.Lock()
	w.pair, w.headCome = pair, false
	if w.c.upload.done.Load() {
		w.setLimit(w.c.x.times.Started.Add(w.c.x.paused))
		if w.running { // since the opening: it may be reading without a limit
			w.setLimit(time.Now())
			_ = w.c.conn.SetReadDeadline(w.limit)
			w.c.readUntil = time.Time{}
		}
	}
	if w.why != nil {
		pair.Reset(&postern.Error{Code: postern.CodeStreamReset})
		w.cut = true
	}
	w.mu.Unlock()
	w.start()
}

// setLimit gives the service its time for the head of its answer. mu is held.
func (w *watch) setLimit(from time.Time) {
	w.limit = time.Time{}
	if most := w.c.x.live.Timeouts.ResponseHeader; most > 0 {
		w.limit = from.Add(most)
	}
}

// answered notes that the head of the answer has come.
func (w *watch) answered() {
	w.mu.Lock()
	w.headCome = true
	w.mu.Unlock()
}

// end stops watching; pair is nil where none could be opened. From then on the
// connection is the conversation's again.
func (w *watch) end(pair *upstreamConn) {
	if !w.running {
		return
	}
	w.running = false
	if w.byTimer && w.timer.Stop() {
		return // as nearly always
	}
	w.mu.Lock()
	w.stopped = true
	_ = w.c.conn.SetReadDeadline(time.Unix(1, 0))
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
	if pair != nil && !w.c.upload.done.Load() { // it may be waiting for the service
		pair.Reset(&postern.Error{Code: postern.CodeStreamReset})
		w.cut = true
	}
	w.mu.Unlock()
	<-w.done
	w.c.readUntil = time.Time{}
}

// over forgets what opening was given, which is over.
func (w *watch) over() {
	w.mu.Lock()
	w.cancel = nil
	w.mu.Unlock()
}

// isOver tells whether the pair, or its opening, was cut off.
func (w *watch) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut || w.why != nil
}

// reason is what was noticed: errVisitorGone or a *postern.Error; nil for nothing.
func (w *watch) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// fail notes why the exchange is over, and cuts it off.
func (w *watch) fail(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == nil && !w.stopped {
		w.why = why
	}
	if w.pair != nil {
		w.pair.Reset(&postern.Error{Code: postern.CodeStreamReset})
		w.cut = true
	}
	if w.cancel != nil {
		w.cancel()
	}
}

// readBy sets the deadline of the next read; false means that reading is over.
func (w *watch) readBy(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		_ = w.c.conn.SetReadDeadline(t)
	}
	return !w.stopped
}

// headBy is when the head must have come; zero where it has, or there is no limit.
func (w *watch) headBy() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.headCome {
		return time.Time{}
	}
	return w.limit
}

// loop watches until end, or until something has happened.
func (w *watch) loop() {
	for w.readBy(w.headBy()) {
		_, err := w.c.in.TopUp(w.c.conn)
		switch {
		case err == nil: // the next request is coming already
		case errors.Is(err, http1.ErrFull):
			w.waitFull()
			if w.c.edge.ctx.Err() != nil {
				return
			}
		case !timedOut(err):
			w.fail(errVisitorGone)
			return
		}
		if by := w.headBy(); !by.IsZero() && !time.Now().Before(by) {
			w.fail(&postern.Error{Code: postern.CodeUpstreamTimeout})
			return
		}
	}
}

// waitFull waits where the visitor has sent so much ahead that no more can be read:
// that it leaves is not noticed then.
func (w *watch) waitFull() {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return
	}
	wake := make(chan struct{})
	w.wake = wake
	w.mu.Unlock()
	var late <-chan time.Time
	if by := w.headBy(); !by.IsZero() {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-wake:
	case <-late:
	case <-w.c.edge.ctx.Done():
		w.fail(errVisitorGone)
	}
}
