package session_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

var (
	errRefused     = postern.Errorf(postern.CodeServerUnreachable, "cannot be reached").Because(syscall.ECONNREFUSED)
	errBlackHole   = postern.Errorf(postern.CodeServerUnreachable, "cannot be reached").Because(context.DeadlineExceeded)
	errBadToken    = postern.Errorf(postern.CodeTokenInvalid, "unknown token")
	errNameIsTaken = postern.Errorf(postern.CodeAlreadyOnline, "taken")
)

func worstJitter() float64 { return 0.999999 }

func TestBindsAndServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		var urls []string
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo), webEndpoint("b", echo)},
			Events: session.Events{Bound: func(_, _ string, b link.Bound) { urls = append(urls, b.PublicURL) }}})
		synctest.Wait()
		if want := []string{"https://assigned1.example.com", "https://assigned2.example.com"}; !slices.Equal(urls, want) {
			t.Errorf("online: %v, want %v", urls, want)
		}
		visitor := s.current().open("bind2")
		if _, err := visitor.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = visitor.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(visitor); string(got) != "hello" || err != nil {
			t.Errorf("visitor read %q, %v", got, err)
		}
		visitor.Close()
		if st := r.Status(); st.State != session.Online || st.Session.SessionID != "ts_1" {
			t.Errorf("status %+v", st)
		}
		if err := r.stop(); err != nil {
			t.Errorf("Run = %v, want nil after its context ended", err)
		}
		if r.Status().State != session.Stopped {
			t.Errorf("state %s after Run", r.Status().State)
		}
	})
}

// An http endpoint beside an https one has the same, assigned, host.
func TestTwinHasTheSameHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		e := webEndpoint("web", echo)
		e.Also = []postern.Scheme{postern.HTTP}
		var urls []string
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{e},
			Events: session.Events{Bound: func(_, _ string, b link.Bound) { urls = append(urls, b.PublicURL) }}})
		synctest.Wait()
		if want := []string{"https://assigned1.example.com", "http://assigned1.example.com"}; !slices.Equal(urls, want) {
			t.Errorf("online: %v, want %v", urls, want)
		}
		r.stop()
	})
}

// B5-3: after kill -9 of the server the same ids, tokens and URLs are asked for, by
// the same client, within a second of the restart, whatever the jitter.
func TestBackWithinASecondOfARestart(t *testing.T) {
	for _, outage := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 7 * time.Second, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{}
			r := run(t, session.Config{Connect: s.Connect, Random: worstJitter, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
			for range 3 { // three restarts in a row, each after little life
				time.Sleep(5 * time.Second)
				s.kill(errRefused)
				time.Sleep(outage)
				s.restart()
				restarted := time.Now()
				time.Sleep(time.Second)
				synctest.Wait()
				last := s.dialled()[len(s.dialled())-1]
				if r.Status().State != session.Online || last.Sub(restarted) > time.Second {
					t.Fatalf("outage of %s: %s a second after the restart", outage, r.Status().State)
				}
			}
			bind, hello := s.binds[len(s.binds)-1], s.hellos[len(s.hellos)-1]
			if bind.ID != "bind1" || bind.Token != "token1" || bind.URL.Host != "assigned1.example.com" {
				t.Errorf("bound again with %+v", bind)
			}
			if hello.ClientID != "client" || hello.Cookie != "cookie3" {
				t.Errorf("came back as %q with cookie %q", hello.ClientID, hello.Cookie)
			}
			r.stop()
		})
	}
}

// D13: first retry within 50 ms, then 100 ms doubling to 5 s.
func TestBackoffGrowsToFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{down: errBlackHole}
		r := run(t, session.Config{Connect: s.Connect, Random: worstJitter})
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}
		dials := s.dialled()
		for i, most := range want {
			gap, bound := dials[i+1].Sub(dials[i]), most*time.Millisecond
			if gap > bound || gap < bound*99/100 {
				t.Errorf("pause %d was %s, want %s", i, gap, bound)
			}
		}
		r.stop()
	})
}

// B5-7: a link that comes and goes makes no storm: sessions that are thrown out at
// once do not earn quick retries.
func TestNoStormOfShortSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Random: worstJitter, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		end := time.Now().Add(10 * time.Minute)
		for time.Now().Before(end) {
			time.Sleep(100 * time.Millisecond)
			s.current().Close(postern.Errorf(postern.CodeLinkLost, "cut"))
		}
		synctest.Wait()
		if n := len(s.dialled()); n > 140 {
			t.Errorf("%d dials in ten minutes", n)
		}
		r.stop()
	})
}

func TestLongLifeResetsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{down: errBlackHole}
		r := run(t, session.Config{Connect: s.Connect, Random: worstJitter})
		time.Sleep(20 * time.Second)
		s.restart()
		time.Sleep(40 * time.Second)
		s.current().Close(postern.Errorf(postern.CodeLinkLost, "cut"))
		lost := time.Now()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		dials := s.dialled()
		if gap := dials[len(dials)-1].Sub(lost); gap < 0 || gap > 50*time.Millisecond {
			t.Errorf("first retry %s after the loss, want within 50 ms", gap)
		}
		r.stop()
	})
}

// B5-5, B5-34: a server that does not answer for 20 s is given up, and another
// session is made.
func TestDeadAfterTwentySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		time.Sleep(time.Second)
		if r.Status().Latency != 0 {
			t.Error("a latency before the first ping")
		}
		time.Sleep(9*time.Second + time.Millisecond)
		synctest.Wait()
		if r.Status().Latency != 5*time.Millisecond {
			t.Errorf("latency %s after a ping", r.Status().Latency)
		}
		first := s.current()
		first.deafen()
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if first.Cause() != nil {
			t.Error("given up before 20 s without an answer")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if first.Cause() == nil || s.current() == first || r.Status().State != session.Online {
			t.Errorf("20 s without an answer: cause %v, state %s", first.Cause(), r.Status().State)
		}
		r.stop()
	})
}

func TestDefiniteRefusalAtFirstIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{down: errBadToken}
		r := run(t, session.Config{Connect: s.Connect})
		if err := <-r.done; !postern.HasCode(err, postern.CodeTokenInvalid) {
			t.Errorf("Run = %v, want the refusal of the token", err)
		}
		r.cancel()
	})
}

func TestRefusalLaterIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		time.Sleep(time.Second)
		s.kill(errBadToken)
		time.Sleep(time.Hour)
		if n := len(s.dialled()); n > 260 {
			t.Errorf("%d attempts in an hour against a server that refuses the token", n)
		}
		s.restart()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if r.Status().State != session.Online {
			t.Errorf("state %s after the server took the token again", r.Status().State)
		}
		r.stop()
	})
}

func TestRefusedBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{refuse: map[string]*postern.Error{"a": errNameIsTaken}}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		if err := <-r.done; !postern.HasCode(err, postern.CodeAlreadyOnline) {
			t.Errorf("all endpoints refused: Run = %v", err)
		}
		r.cancel()
	})
}

func TestRefusedBindLeavesOthersOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{refuse: map[string]*postern.Error{"a": errNameIsTaken}}
		var mu sync.Mutex
		var told []string
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo), webEndpoint("b", echo)},
			Events: session.Events{
				Bound: func(name, _ string, _ link.Bound) { mu.Lock(); defer mu.Unlock(); told = append(told, name+" bound") },
				Refused: func(name string, _ *postern.Error) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, name+" refused")
				},
			}})
		time.Sleep(10 * time.Second)
		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"a refused", "b bound", "a bound"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
		r.stop()
	})
}

// B5-2: at the end endpoints go offline first, open streams finish, then the
// session ends.
func TestDrainLetsStreamsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		synctest.Wait()
		visitor := s.current().open("bind1")
		defer visitor.Close()
		synctest.Wait()
		r.cancel()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(s.unbinds) != 1 || r.Status().State != session.Draining || s.current().Cause() != nil {
			t.Fatalf("while draining: unbound %v, state %s, session ended: %v", s.unbinds, r.Status().State, s.current().Cause())
		}
		_, _ = visitor.Write([]byte("late"))
		_ = visitor.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(visitor); string(got) != "late" || err != nil {
			t.Errorf("a stream in flight read %q, %v", got, err)
		}
		if err := <-r.done; err != nil {
			t.Errorf("Run = %v", err)
		}
		if !postern.HasCode(s.current().Cause(), postern.CodeLinkDraining) {
			t.Errorf("session ended with %v", s.current().Cause())
		}
	})
}

func TestDrainHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		until := session.HandlerFunc(func(ctx context.Context, _ link.Header, st link.Stream) { <-ctx.Done(); st.Close() })
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", until)}})
		synctest.Wait()
		defer s.current().open("bind1").Close()
		synctest.Wait()
		began := time.Now()
		if err := r.stop(); err != nil || time.Since(began) != 30*time.Second {
			t.Errorf("Run = %v after %s, want nil after 30 s", err, time.Since(began))
		}
	})
}

// A server that drains: the new session comes first, the old one's streams live on.
func TestServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		time.Sleep(2 * time.Second)
		old := s.current()
		visitor := old.open("bind1")
		defer visitor.Close()
		synctest.Wait()
		close(old.draining)
		synctest.Wait()
		if s.current() == old || old.Cause() != nil || r.Status().State != session.Online {
			t.Fatalf("no new session beside the old one: %v, %s", old.Cause(), r.Status().State)
		}
		if last := s.binds[len(s.binds)-1]; last.ID != "bind1" || last.Token != "token1" {
			t.Errorf("bound again with %+v", last)
		}
		_, _ = visitor.Write([]byte("old"))
		_ = visitor.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(visitor); string(got) != "old" || err != nil {
			t.Errorf("a stream of the old session read %q, %v", got, err)
		}
		// The server ends it, when the streams have; theirs is to say how long they may last.
		time.Sleep(time.Hour)
		synctest.Wait()
		if old.Cause() != nil {
			t.Errorf("the old session's streams were cut after an hour: %v", old.Cause())
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if old.Cause() == nil {
			t.Error("the old session was never ended")
		}
		r.stop()
	})
}

func TestAddAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect})
		synctest.Wait()
		if err := r.Add(webEndpoint("later", echo)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(s.binds) != 1 || s.binds[0].Name != "later" {
			t.Errorf("bound %+v", s.binds)
		}
		if err := r.Add(webEndpoint("later", echo)); !postern.HasCode(err, postern.CodeConflict) {
			t.Errorf("Add of a name in use = %v", err)
		}
		if err := r.Remove(t.Context(), "later"); err != nil || !slices.Equal(s.unbinds, []string{"bind1"}) {
			t.Errorf("Remove = %v, unbound %v", err, s.unbinds)
		}
		if err := r.Remove(t.Context(), "later"); !postern.HasCode(err, postern.CodeNotFound) {
			t.Errorf("Remove of what is gone = %v", err)
		}
		r.stop()
	})
}

func TestServerStopsTheAgentAndAnEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		stopped := make(chan string, 1)
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo), webEndpoint("b", echo)},
			Events: session.Events{Stopped: func(name string, why *postern.Error) { stopped <- name + " " + string(why.Code) }}})
		synctest.Wait()
		c := s.current()
		c.callbacks.EndpointStopped("bind1", errNameIsTaken)
		if got := <-stopped; got != "a ERR_NGROK_334" {
			t.Errorf("told %q", got)
		}
		if err := c.callbacks.Command(t.Context(), link.Command{Action: link.Update}); !postern.HasCode(err, postern.CodeUpdateUnsupported) {
			t.Errorf("update = %v", err)
		}
		if err := c.callbacks.Command(t.Context(), link.Command{Action: link.Stop}); err != nil {
			t.Errorf("stop = %v", err)
		}
		if err := <-r.done; err != nil || !slices.Equal(s.unbinds, []string{"bind2"}) {
			t.Errorf("Run = %v, unbound %v", err, s.unbinds)
		}
		r.cancel()
	})
}

func TestUnknownEndpointIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)}})
		synctest.Wait()
		visitor := s.current().open("nosuch")
		defer visitor.Close()
		if _, err := io.ReadAll(visitor); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("visitor of an unknown endpoint read %v, want a reset", err)
		}
		r.stop()
	})
}
