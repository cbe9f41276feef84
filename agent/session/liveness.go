package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// lookAround is how often the clocks are compared. A machine that wakes up waits at
	// most that long for its session's state to be known.
	lookAround = 2 * time.Second
	// asleep is how far the clocks must differ from what is due to tell a sleep from a
	// busy machine.
	asleep = 5 * time.Second
	// wakePatience is how long the server may take to answer after a sleep, in which it
	// has most likely given the session up: as long as it takes a network to come back.
	wakePatience = 10 * time.Second
)

// watchLiveness pings, and ends the session when nothing came back for too long. After
// a sleep of the machine it pings at once.
func (l *live) watchLiveness() {
	ticker := time.NewTicker(lookAround)
	defer ticker.Stop()
	sleeps := newSleepWatch(l.s.config.WallClock)
	alive, pinged := time.Now(), time.Now()
	for {
		select {
		case <-ticker.C:
		case <-l.client.Done():
			return
		case <-l.ctx.Done():
			return
		}
		now := time.Now()
		deadline := alive.Add(PingPatience)
		if slept := sleeps.slept(now); slept > 0 {
			l.s.log.InfoContext(l.ctx, "woke up, checking the session", logObject, slog.Duration("slept", slept.Round(time.Second)))
			deadline = now.Add(wakePatience)
		} else if now.Sub(pinged) < PingInterval {
			continue
		}
		pinged = now
		ctx, cancel := context.WithDeadline(l.ctx, deadline)
		latency, err := l.client.Ping(ctx)
		cancel()
		if err != nil {
			l.timedOut(time.Since(alive))
			return
		}
		alive = time.Now()
		sleeps.slept(alive) // a slow answer is not a sleep
		l.s.setStatus(func(st *Status) { st.Latency = latency })
	}
}

func (l *live) timedOut(silent time.Duration) {
	select {
	case <-l.client.Done():
		return // it ended for a reason of its own
	case <-l.ctx.Done():
		return
	default:
	}
	l.s.log.WarnContext(l.ctx, "heartbeat timeout, terminating session", logObject)
	l.client.Close(postern.Errorf(postern.CodeLinkLost, "the server did not answer for %s", silent.Round(time.Second)))
}

// sleepWatch notices that the machine slept: of its two clocks the wall's goes on then,
// and the monotonic one, by which timers go, stands still on some systems and goes on,
// with the timers late, on others.
type sleepWatch struct {
	wall     func() time.Time
	last     time.Time // with its monotonic reading
	lastWall time.Time // the wall's
}

func newSleepWatch(wall func() time.Time) *sleepWatch {
	if wall == nil {
		wall = time.Now
	}
	return &sleepWatch{wall: wall, last: time.Now(), lastWall: wall().Round(0)}
}

// slept tells how long the machine slept since it was last asked, when that was to be
// lookAround ago; 0: it did not. A wall clock that was put right looks the same, and
// costs a ping.
func (w *sleepWatch) slept(now time.Time) time.Duration {
	wall := w.wall().Round(0)
	passed := max(now.Sub(w.last), wall.Sub(w.lastWall))
	w.last, w.lastWall = now, wall
	if passed-lookAround < asleep {
		return 0
	}
	return passed
}
