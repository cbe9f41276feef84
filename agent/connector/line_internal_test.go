package connector

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
)

// The lines and waits of outsystemscc: what a session does to the count, the cap, and
// the end. S4-31, S4-37, S4-38
func TestClassicLinesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{fixed: true, latency: 733439 * time.Nanosecond}
		r := newRig(t, far, func(c *Config) {
			c.Gateways[0].Retry.Count, c.Gateways[0].Retry.Most = 7, 2*time.Second
		}, "R:8081:192.168.0.3:8393")
		r.start(t)
		synctest.Wait()
		time.Sleep(6 * time.Second) // long enough for the count to begin anew
		far.refuseAll(unreachable())
		far.latest().Close(lost("websocket: close 1012: restart"))
		if err := <-r.done; !errors.Is(err, ErrGaveUp) {
			t.Errorf("Run = %v", err)
		}
		refused := "Connection error: dial tcp 192.0.2.1:80: connect: connection refused"
		want := []string{
			"Connecting to ws://gateway.test:80/sg_1", "Connected (Latency 733.439µs)", "Disconnected",
			"Connection error: websocket: close 1012: restart", "Retrying in 100ms...",
			refused + " (Attempt: 1/7)", "Retrying in 200ms...", refused + " (Attempt: 2/7)", "Retrying in 400ms...",
			refused + " (Attempt: 3/7)", "Retrying in 800ms...", refused + " (Attempt: 4/7)", "Retrying in 1.6s...",
			refused + " (Attempt: 5/7)", "Retrying in 2s...", refused + " (Attempt: 6/7)", "Retrying in 2s...",
			refused + " (Attempt: 7/7)", "Give up",
		}
		if diff := cmp.Diff(want, r.log.lines()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func lost(text string) *postern.Error { return postern.Errorf(postern.CodeLinkLost, "%s", text) }

// A connection that lived for five seconds or less does not earn quick retries, and a
// count of 0 is none at all.
func TestShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{fixed: true}
		r := newRig(t, far, nil, "R:8081:db:80")
		r.start(t)
		for range 3 {
			synctest.Wait()
			far.latest().Close(lost("gone"))
			time.Sleep(time.Second)
		}
		r.stop(t)
		want := []string{"Retrying in 100ms...", "Retrying in 200ms...", "Retrying in 400ms..."}
		if diff := cmp.Diff(want, only(r.log.lines(), "Retrying")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		none := newRig(t, far, func(c *Config) { c.Gateways[0].Retry.Count = 0 }, "R:8081:db:80")
		far.refuseAll(unreachable())
		none.start(t)
		if err := <-none.done; !errors.Is(err, ErrGaveUp) {
			t.Errorf("Run = %v", err)
		}
	})
}

func only(lines []string, start string) []string {
	var all []string
	for _, line := range lines {
		if strings.HasPrefix(line, start) {
			all = append(all, line)
		}
	}
	return all
}

// Waits of ours are drawn at random below a bound that grows to five seconds.
func TestBackoffWithJitter(t *testing.T) {
	b := &backoff{retry: Retry{Count: -1}, random: func() float64 { return 1 }}
	var got []time.Duration
	for range 9 {
		got = append(got, b.next(unreachable()))
	}
	want := []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.random = func() float64 { return 0 }
	if d := b.next(unreachable()); d != 0 {
		t.Errorf("at least %s", d)
	}
	if d := b.next(postern.Errorf(postern.CodeGatewayTokenInvalid, "no")); d < refusedRetry {
		t.Errorf("after a definite no: %s", d)
	}
	for range 100 { // no overflow
		b.random = func() float64 { return 1 }
		if d := b.next(nil); d > mostRetry {
			t.Fatalf("a wait of %s", d)
		}
	}
}

// A hang-up ends a wait, and while connected it does nothing. S4-46
func TestHangup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{fixed: true, refuse: unreachable()}
		r := newRig(t, far, nil, "R:8081:db:80")
		r.start(t)
		time.Sleep(10 * time.Minute) // into waits of five minutes
		synctest.Wait()
		far.refuseAll(nil)
		before := far.attempts()
		if !r.Hangup() {
			t.Error("nobody waited")
		}
		synctest.Wait()
		if far.attempts() != before+1 || !r.Status().Gateways[0].Connected {
			t.Errorf("%d attempts after the hang-up, %+v", far.attempts()-before, r.Status())
		}
		if r.Hangup() {
			t.Error("a hang-up while connected ended a wait")
		}
		synctest.Wait()
		if far.attempts() != before+1 {
			t.Error("a hang-up while connected made a connection")
		}
		r.stop(t)
	})
}

// A definite no ends a connector that is to fail fast, and only with its first attempt.
func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := postern.Errorf(postern.CodeGatewayTokenInvalid, "this token was revoked")
		far := &fakeGateway{refuse: no}
		r := newRig(t, far, func(c *Config) { c.FailFast = true }, "R:8081:db:80")
		r.start(t)
		if err := <-r.done; !postern.HasCode(err, postern.CodeGatewayTokenInvalid) {
			t.Errorf("Run = %v", err)
		}
		later := &fakeGateway{}
		r = newRig(t, later, func(c *Config) { c.FailFast = true }, "R:8081:db:80")
		r.start(t)
		synctest.Wait()
		later.refuseAll(no)
		later.latest().Close(lost("gone"))
		time.Sleep(time.Minute)
		later.refuseAll(nil)
		time.Sleep(time.Minute * 10)
		synctest.Wait()
		if !r.Status().Gateways[0].Connected {
			t.Error("it did not come back")
		}
		r.stop(t)
	})
}

// A gateway that does not answer pings is left; over a fixed wire they go at the pace that
// the operator set, and are for the latency only. S4-36
func TestKeepAlive(t *testing.T) {
	for _, c := range []struct {
		fixed     bool
		keepAlive time.Duration
		pings     int // in three minutes
	}{{false, 0, 18}, {true, 0, 0}, {true, 10 * time.Second, 18}, {true, time.Minute, 3}} {
		synctest.Test(t, func(t *testing.T) {
			far := &fakeGateway{fixed: c.fixed}
			r := newRig(t, far, func(config *Config) { config.Gateways[0].KeepAlive = c.keepAlive }, "R:8081:db:80")
			r.start(t)
			synctest.Wait()
			w := far.latest()
			time.Sleep(3*time.Minute + time.Second)
			w.mu.Lock()
			pings := w.pings
			w.mute = true
			w.mu.Unlock()
			if pings != c.pings {
				t.Errorf("%+v: %d pings in three minutes", c, pings)
			}
			time.Sleep(c.keepAlive + nativeInterval + answerPatience + time.Second)
			if ended := w.Cause() != nil; ended == c.fixed {
				t.Errorf("%+v: the silent connection ended with %v", c, w.Cause())
			}
			r.stop(t)
		})
	}
}

// A gateway that drains gets a new connection at once, and streams of the old one finish.
func TestDrainingGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{}
		r := newRig(t, far, nil, "R:8081:db:80")
		r.start(t)
		synctest.Wait()
		old := far.latest()
		close(old.draining)
		time.Sleep(time.Second)
		synctest.Wait()
		if far.attempts() != 2 || old.Cause() != nil {
			t.Errorf("%d attempts, the old connection ended with %v", far.attempts(), old.Cause())
		}
		for range 5 { // what changes meanwhile is for the new one
			r.apply(t, "R:8081:db:80", "R:8082:mail:25")
			r.apply(t, "R:8081:db:80")
		}
		if diff := cmp.Diff([]string{"8081=db:80"}, far.online()); diff != "" || !r.Status().Healthy() {
			t.Errorf("%+v (-want +got)\n%s", r.Status(), diff)
		}
		old.Close(lost("drained"))
		synctest.Wait()
		if !r.Status().Healthy() {
			t.Errorf("%+v", r.Status())
		}
		r.stop(t)
	})
}

// Ten thousand connections later the connector holds what it held after the first.
func TestTenThousandReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{}
		r := newRig(t, far, func(c *Config) {
			c.Logger = nil
			c.Gateways[0].Retry = Retry{Count: -1}
		}, "R:8081:db:80", "R:53:dns:53/udp")
		r.start(t)
		synctest.Wait()
		first := testkit.InBubble()
		for range 10_000 {
			w := far.latest()
			far.forget()
			w.Close(lost("gone"))
			time.Sleep(mostRetry)
			synctest.Wait()
		}
		if now := testkit.InBubble(); now != first || !r.Status().Healthy() || r.Status().Gateways[0].Connections != 10_001 {
			t.Errorf("%d goroutines, %d after the first; %+v", now, first, r.Status())
		}
		r.stop(t)
	})
}
