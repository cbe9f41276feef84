package chisel

import (
	"sync"
	"time"
)

// alarm is one deadline of a stream. Its fields are guarded by the stream's mutex.
type alarm struct {
	timer   *time.Timer
	setting int // counts, so that a timer that was replaced does nothing
	passed  bool
}

// set has wake called, with mu held, once t has come; at once if it has, never if t is
// zero. mu is held.
func (a *alarm) set(t time.Time, mu *sync.Mutex, wake func()) {
	a.stop()
	a.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		a.passed = true
		wake()
		return
	}
	setting := a.setting
	a.timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		if a.setting == setting {
			a.passed = true
			wake()
		}
	})
}

// stop forgets what was set. mu is held.
func (a *alarm) stop() {
	a.setting++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}
