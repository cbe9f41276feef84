package session_test

import (
	"sync"
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
