package session_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/agent/session"
)

// B5-34: a machine that slept has its session checked at once, and a dead one replaced.
func TestWakeFromSleep(t *testing.T) {
	for _, dead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var asleep time.Duration
			wall := func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(asleep)
			}
			s := &server{}
			r := run(t, session.Config{Connect: s.Connect, WallClock: wall, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
			time.Sleep(11 * time.Second) // just pinged: the next would be far
			mu.Lock()
			asleep = time.Hour
			mu.Unlock()
			pings := s.current().pinged()
			if dead {
				s.current().deafen()
			}
			time.Sleep(3 * time.Second)
			if s.current().pinged() == pings {
				t.Error("no ping within 3 seconds of waking up")
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if want := map[bool]int{false: 1, true: 2}[dead]; len(s.dialled()) != want || r.Status().State != session.Online {
				t.Errorf("dead %t: %d sessions, want %d; %s", dead, len(s.dialled()), want, r.Status().State)
			}
			r.stop()
		})
	}
}

// B5-16: a clock that is set by a day ends no session: one that was set ahead looks like a
// machine that slept, whose session is asked; one that was set back like nothing.
func TestClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, jump := range []time.Duration{day, -day} {
		synctest.Test(t, func(t *testing.T) {
			var set atomic.Int64
			s := &server{}
			r := run(t, session.Config{
				Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)},
				WallClock: func() time.Time { return time.Now().Add(time.Duration(set.Load())) },
			})
			for _, off := range []time.Duration{jump, 0} { // and right again
				time.Sleep(time.Minute)
				set.Store(int64(off))
				before := s.current().pinged()
				time.Sleep(time.Minute)
				if pings := s.current().pinged() - before; pings < 2 || pings > 10 {
					t.Errorf("%s: %d pings in the minute after", off, pings)
				}
			}
			synctest.Wait()
			if len(s.dialled()) != 1 || r.Status().State != session.Online {
				t.Errorf("%s: %d sessions, %s", jump, len(s.dialled()), r.Status().State)
			}
			r.stop()
		})
	}
}
