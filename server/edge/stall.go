package edge

import "time"

// stall cuts off an HTTP/2 visitor who grants no window for a stream: its connection
// is alive, so no deadline of the connection would notice. HTTP/1 needs none of this
// (see visitor.Write), and a nil stall does nothing.
type stall struct {
	x     *webExchange
	idle  time.Duration
	timer *time.Timer
}

func (x *webExchange) newStall() *stall {
	if x.r.ProtoMajor == 1 {
		return nil
	}
	return &stall{x: x, idle: x.live.Timeouts.Transfer}
}

// begin is called before a write.
func (s *stall) begin() {
	switch {
	case s == nil:
	case s.timer == nil:
		s.timer = time.AfterFunc(s.idle, s.cut)
	default:
		s.timer.Reset(s.idle)
	}
}

// end is called after it.
func (s *stall) end() {
	if s != nil {
		s.timer.Stop()
	}
}

func (s *stall) stop() {
	if s != nil && s.timer != nil {
		s.timer.Stop()
	}
}

// cut makes the write that waits fail.
func (s *stall) cut() { _ = s.x.control.SetWriteDeadline(time.Unix(1, 0)) }
