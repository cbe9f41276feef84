package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
)

func twins(name string) session.Endpoint {
	e := webEndpoint(name, echo)
	e.Also = []postern.Scheme{postern.HTTP}
	return e
}

func labels(r *running) (all []string) {
	for _, e := range r.Endpoints() {
		all = append(all, e.Label)
	}
	return all
}

func TestTakeOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{refuse: map[string]*postern.Error{"taken": errNameIsTaken}}
		r := run(t, session.Config{Connect: s.Connect})
		synctest.Wait()
		online, err := r.TakeOnline(t.Context(), twins("web"))
		if err != nil || len(online) != 2 || online[0].Label != "web" || online[1].Label != "web (http)" ||
			online[0].URL != "https://assigned1.example.com" || online[1].URL != "http://assigned1.example.com" ||
			!online[1].Online || len(online[0].ID) != 32 || online[0].ID == online[1].ID {
			t.Fatalf("TakeOnline = %+v, %v", online, err)
		}
		if _, err := r.TakeOnline(t.Context(), webEndpoint("web (http)", echo)); !postern.HasCode(err, postern.CodeConflict) {
			t.Errorf("a name that is another's label: %v", err)
		}
		for range 2 { // a refusal leaves the name free
			if _, err := r.TakeOnline(t.Context(), twins("taken")); !postern.HasCode(err, postern.CodeAlreadyOnline) {
				t.Errorf("TakeOnline of what is refused = %v", err)
			}
		}
		s.mu.Lock()
		delete(s.refuse, "taken")
		binds := len(s.binds)
		s.mu.Unlock()
		time.Sleep(time.Hour) // and nobody asks for it again
		synctest.Wait()
		if len(s.asked()) != binds {
			t.Errorf("asked for again: %+v", s.asked()[binds:])
		}
		if _, err := r.TakeOnline(t.Context(), twins("taken")); err != nil {
			t.Errorf("TakeOnline once it is free = %v", err)
		}
		// What was granted once comes back like anything else.
		s.kill(errRefused)
		time.Sleep(time.Second)
		if _, err := r.TakeOnline(t.Context(), webEndpoint("x", echo)); !postern.HasCode(err, postern.CodeNotReady) {
			t.Errorf("TakeOnline without a session = %v", err)
		}
		for _, e := range r.Endpoints() {
			if e.Online {
				t.Errorf("%s is online without a session", e.Label)
			}
		}
		s.restart()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, e := range r.Endpoints() {
			if !e.Online {
				t.Errorf("%+v did not come back", e)
			}
		}
		r.stop()
	})
}

func TestTakeOnlineBeforeAnySession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{down: errBlackHole}
		r := run(t, session.Config{Connect: s.Connect})
		synctest.Wait()
		began := time.Now()
		_, err := r.TakeOnline(t.Context(), webEndpoint("web", echo))
		if !postern.HasCode(err, postern.CodeNotReady) || time.Since(began) != 0 ||
			postern.AsError(err).Text() != "a successful ngrok tunnel session has not yet been established" {
			t.Errorf("TakeOnline = %v after %s", err, time.Since(began))
		}
		if len(r.Endpoints()) != 0 {
			t.Errorf("endpoints %+v", r.Endpoints())
		}
		r.stop()
	})
}

// The session that breaks while somebody waits is no session.
func TestTakeOnlineWhenTheAnswerNeverComes(t *testing.T) {
	for name, end := range map[string]func(*server, context.CancelFunc){
		"lost":  func(s *server, _ context.CancelFunc) { s.kill(errRefused) },
		"ended": func(_ *server, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{slow: time.Minute}
				r := run(t, session.Config{Connect: s.Connect})
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				answer := make(chan error)
				go func() {
					_, err := r.TakeOnline(ctx, webEndpoint("web", echo))
					answer <- err
				}()
				synctest.Wait()
				end(s, cancel)
				if err := <-answer; err == nil {
					t.Error("TakeOnline succeeded")
				}
				if len(r.Endpoints()) != 0 {
					t.Errorf("kept %+v", r.Endpoints())
				}
				cancel()
				r.stop()
			})
		})
	}
}

// Fifty at once, as a script starts them.
func TestTakeManyOnlineAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect})
		synctest.Wait()
		var asking sync.WaitGroup
		for i := range 50 {
			asking.Go(func() {
				name := fmt.Sprintf("e%d", i)
				if online, err := r.TakeOnline(t.Context(), twins(name)); err != nil || len(online) != 2 {
					t.Errorf("%s: %v", name, err)
				}
				if i%2 == 0 {
					if err := r.Remove(t.Context(), name); err != nil {
						t.Errorf("Remove %s: %v", name, err)
					}
				}
			})
		}
		asking.Wait()
		if n := len(r.Endpoints()); n != 50 || len(s.unbinds) != 50 {
			t.Errorf("%d left, %d unbound, want 50 of each", n, len(s.unbinds))
		}
		r.stop()
	})
}

// An addition does not have the refused asked for before their time.
func TestAddDoesNotHurryTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{refuse: map[string]*postern.Error{"taken": errNameIsTaken}}
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("ok", echo), webEndpoint("taken", echo)}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		before := len(s.asked())
		for i := range 100 {
			if err := r.Add(webEndpoint(fmt.Sprint(i), echo)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if asked := len(s.asked()) - before; asked != 100 {
			t.Errorf("%d binds for 100 additions", asked)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked := s.asked(); asked[len(asked)-1].Name != "taken" {
			t.Errorf("the refused is not asked for any more, last was %s", asked[len(asked)-1].Name)
		}
		r.stop()
	})
}

func TestRemoveByNameAndLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		var gone []string
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{twins("a"), twins("b"), twins("c")},
			Events: session.Events{Removed: func(_, label string) { gone = append(gone, label) }}})
		synctest.Wait()
		err := errors.Join(r.Remove(t.Context(), "a (http)"), r.RemoveLabel(t.Context(), "b"), r.Remove(t.Context(), "c"))
		if want := []string{"a", "b (http)"}; err != nil || !slices.Equal(labels(r), want) {
			t.Errorf("left %v, %v, want %v", labels(r), err, want)
		}
		if want := []string{"a (http)", "b", "c", "c (http)"}; !slices.Equal(gone, want) {
			t.Errorf("told %v, want %v", gone, want)
		}
		if err := r.RemoveLabel(t.Context(), "b"); !postern.HasCode(err, postern.CodeNotFound) {
			t.Errorf("RemoveLabel of what is gone = %v", err)
		}
		s.kill(errRefused) // a twin whose first is gone comes back alone
		s.restart()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, e := range r.Endpoints() {
			if !e.Online {
				t.Errorf("%s is not back", e.Label)
			}
		}
		r.stop()
	})
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		var told, removed []string
		brief, long := twins("brief"), webEndpoint("long", echo)
		brief.TTL = time.Minute
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{long, brief},
			Events: session.Events{
				Stopped: func(name string, why *postern.Error) { told = append(told, name+": "+why.Text()) },
				Removed: func(name, label string) { removed = append(removed, name+"/"+label) },
			}})
		time.Sleep(30 * time.Second)
		s.kill(errRefused) // an interruption does not give it more time
		s.restart()
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if len(r.Endpoints()) != 3 {
			t.Errorf("after 59 seconds there are %v", labels(r))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slices.Equal(labels(r), []string{"long"}) || len(s.unbinds) != 2 || len(told) != 1 || !strings.HasPrefix(told[0], "brief: its time of 1m0s is over") {
			t.Errorf("after 61 seconds: %v, unbound %v, told %v", labels(r), s.unbinds, told)
		}
		if !slices.Equal(removed, []string{"brief/brief", "brief/brief (http)"}) {
			t.Errorf("told that %v are forgotten", removed)
		}
		late := webEndpoint("late", echo)
		late.TTL = time.Second
		if _, err := r.TakeOnline(t.Context(), late); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("told %v", told)
		}
		r.stop()
	})
}

// What the server stops is gone, and its name free.
func TestStoppedNameIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		var removed []string
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{webEndpoint("a", echo)},
			Events: session.Events{Removed: func(_, label string) { removed = append(removed, label) }}})
		synctest.Wait()
		s.current().callbacks.EndpointStopped("bind1", nil)
		if !slices.Equal(removed, []string{"a"}) {
			t.Errorf("told that %v are forgotten", removed)
		}
		if _, err := r.TakeOnline(t.Context(), webEndpoint("a", echo)); err != nil {
			t.Errorf("TakeOnline after the server stopped it = %v", err)
		}
		r.stop()
	})
}

// An agent without endpoints stays connected.
func TestNoEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := run(t, session.Config{Connect: s.Connect})
		time.Sleep(24 * time.Hour)
		if r.Status().State != session.Online || len(s.dialled()) != 1 {
			t.Errorf("a day later: %+v, %d sessions", r.Status(), len(s.dialled()))
		}
		r.stop()
	})
}
