package mux

import (
	"io"
	"time"
)

// leastRTT is the round trip assumed for the tuning of windows when the path is
// faster, or not measured yet: on such paths the goroutines' turns are the delay.
const leastRTT = 500 * time.Microsecond

// due decides how much credit the peer gets now. Credit is given in portions of
// half a window, so that a bulk transfer costs two frames a window. rmu is held.
func (st *Stream) due() uint32 {
	gap := st.window - st.credit - int64(st.unread)
	if gap < st.window/2 || st.settled || st.readErr == io.EOF {
		return 0
	}
	st.tune(gap)
	gap = st.window - st.credit - int64(st.unread)
	if gap <= 0 {
		return 0
	}
	st.credit += gap
	return uint32(gap)
}

// tune sets the window by how the stream is read. One that drains it within two
// round trips is held back by the window itself and gets a larger one, if the
// session's budget has it. While half of the session's memory is full of unread
// data, streams that leave data unread get smaller ones. rmu is held.
func (st *Stream) tune(gap int64) {
	s := st.session
	now := time.Now()
	took := now.Sub(st.announced)
	first := st.announced.IsZero()
	st.announced = now
	initial := int64(s.config.Window)
	limit := st.budget.limit.Load()

	if st.budget.used.Load() > limit/2 {
		if st.unread > 0 {
			st.resize(max(st.window/2, initial/4))
		}
		return
	}
	if st.window < initial {
		st.resize(initial)
		return
	}
	rtt := max(time.Duration(s.rttLeast.Load()), leastRTT)
	limited := int64(took)*st.window <= 2*int64(rtt)*gap
	larger := min(2*st.window, s.windowOf.Load())
	if first || !limited || int64(st.unread) > st.window/4 || larger == st.window {
		return
	}
	if st.budget.lent.Load()+larger-st.window <= limit/2 {
		st.resize(larger)
	}
}

// resize changes the window and keeps the session's count of what is granted above
// the initial window. rmu is held.
func (st *Stream) resize(window int64) {
	initial := int64(st.session.config.Window)
	st.budget.lent.Add(max(window-initial, 0) - max(st.window-initial, 0))
	st.window = window
}

// settle ends the giving of credit, when the stream has left the session.
func (st *Stream) settle() {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	if !st.settled {
		st.settled = true
		st.resize(min(st.window, int64(st.session.config.Window)))
	}
}

// announce tells the peer about new credit. It rides on the next write, or the
// session's goroutine sends it: a Read never waits for the connection.
func (st *Stream) announce(credit uint32) {
	if credit > 0 {
		st.session.putControl(kindWindow, st.id, credit)
	}
}
