package mux

import (
	"net"
	"testing"
	"time"
)

// Windows grow only as far as the session's budget goes, shrink again for streams
// that leave data unread while memory is short, and give back what they had.
func TestWindowsStayWithinTheBudget(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	s := New(b, Config{MaxWindow: 4 << 20, Limits: Limits{Buffered: 8 << 20}})
	defer func() {
		s.Close(nil)
		a.Close()
		<-s.Closed()
	}()
	s.rttLeast.Store(int64(time.Minute)) // everything counts as held back by its window

	drain := func(st *Stream) {
		st.rmu.Lock()
		defer st.rmu.Unlock()
		st.credit -= st.window / 2 // received and read
		st.due()
		if most := st.window; st.credit > most {
			t.Errorf("credit of %d above the window of %d", st.credit, most)
		}
	}
	streams := make([]*Stream, 16)
	for i := range streams {
		streams[i] = newStream(s, uint32(3+2*i))
		for range 12 {
			drain(streams[i])
		}
	}
	if streams[0].window != 4<<20 {
		t.Errorf("the first stream's window is %d", streams[0].window)
	}
	if lent := s.budget.Load().lent.Load(); lent == 0 || lent > 4<<20 {
		t.Errorf("%d bytes are granted above the initial windows, of a budget of %d", lent, 4<<20)
	}

	if !s.budget.Load().reserve(5 << 20) {
		t.Fatal("5 MiB do not fit into 8")
	}
	slow := streams[0]
	slow.unread = 1
	for range 12 {
		drain(slow)
	}
	if slow.window != 64<<10 {
		t.Errorf("under pressure a slow stream keeps a window of %d", slow.window)
	}
	s.budget.Load().used.Add(-5 << 20)
	drain(slow)
	if slow.window < 256<<10 {
		t.Errorf("after the pressure its window is %d", slow.window)
	}
	slow.unread = 0
	for _, st := range streams {
		st.settle()
		st.settle()
	}
	if lent := s.budget.Load().lent.Load(); lent != 0 {
		t.Errorf("%d bytes stay granted by streams that are gone", lent)
	}
}
