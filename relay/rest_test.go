package relay_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay"
)

// stacks lists the goroutines that relay.
func stacks() (relaying, watching int) {
	text := make([]byte, 1<<20)
	for one := range strings.SplitSeq(string(text[:runtime.Stack(text, true)]), "\n\n") {
		switch {
		case strings.Contains(one, "relay.(*direction).watch("):
			watching++
		case strings.Contains(one, "relay.(*direction)."):
			relaying++
		}
	}
	return relaying, watching
}

// settled waits until it has come to so many goroutines.
func settled(t *testing.T, relaying, watching int) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		r, w := stacks()
		if r == relaying && w == watching {
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d goroutines relay and %d watch; want %d and %d", r, w, relaying, watching)
		}
	}
}

// At rest a stream is waited for by nobody, and a socket by a goroutine that does nothing
// else. What comes then is relayed as ever.
func TestRunRests(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // a socket is waited for by who reads it
	}
	for name, pair := range map[string][2]maker{"to a service": {awaited, loopback}, "from a visitor": {loopback, awaited}, "peeked": {peeked, awaited}} {
		t.Run(name, func(t *testing.T) {
			j := set(t, pair[0], pair[1], relay.Options{})
			settled(t, 0, 1)
			for range 3 {
				write(t, j.visitor, "question")
				expect(t, j.service, "question")
				write(t, j.service, "answer")
				expect(t, j.visitor, "answer")
				settled(t, 0, 1)
				write(t, j.service, "and one more thing")
				expect(t, j.visitor, "and one more thing")
				settled(t, 0, 1)
			}
			_ = j.visitor.CloseWrite()
			if _, err := j.service.Read(make([]byte, 1)); err != io.EOF {
				t.Fatal(err)
			}
			write(t, j.service, "goodbye")
			_ = j.service.Close()
			expect(t, j.visitor, "goodbye")
			if r := <-j.done; r.Err != nil || r.AToB != 24 || r.BToA != 3*24+7 {
				t.Fatalf("%+v", r)
			}
			settled(t, 0, 0)
		})
	}
}

// Pipe keeps its caller's goroutine, and no other.
func TestPipeRests(t *testing.T) {
	for name, pair := range map[string][2]maker{"tls": {encrypted, awaited}, "memory": {awaited, memory}} {
		t.Run(name, func(t *testing.T) {
			j := join(t, pair[0], pair[1], relay.Options{})
			for range 2 {
				write(t, j.service, "answer")
				expect(t, j.visitor, "answer")
				settled(t, 1, 0)
			}
			_ = j.visitor.Close()
			_ = j.service.Close()
			<-j.done
		})
	}
}

// What is at rest ends with its context, its connections and its peer as anything else.
func TestRestEnds(t *testing.T) {
	for name, end := range map[string]func(j *joined, cancel context.CancelCauseFunc){
		"context": func(_ *joined, cancel context.CancelCauseFunc) {
			cancel(postern.Errorf(postern.CodeLinkDraining, "shutting down"))
		},
		"visitor": func(j *joined, _ context.CancelCauseFunc) { relay.Abort(j.visitor, nil) },
		"service": func(j *joined, _ context.CancelCauseFunc) { relay.Abort(j.service, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			visitor, a := awaited(t)
			service, b := loopback(t)
			j := &joined{visitor: visitor, service: service, done: make(chan relay.Result, 1)}
			relay.Run(ctx, a, b, relay.Options{}, func(r relay.Result) { j.done <- r })
			end(j, cancel)
			if r := <-j.done; r.Err == nil {
				t.Fatalf("%+v", r)
			}
			for _, c := range []relay.Conn{visitor, service} {
				if n, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
					t.Errorf("read %d, %v; want an error", n, err)
				}
			}
		})
	}
}

// A direction at rest has no deadline that could pass, and one that is not has none that
// anybody notices.
func TestRestLastsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, start := range []func(testing.TB, maker, maker, relay.Options) *joined{join, set} {
			j := start(t, memory, awaited, relay.Options{})
			for range 20 {
				time.Sleep(30 * 24 * time.Hour)
				write(t, j.visitor, "still there?")
				expect(t, j.service, "still there?")
				time.Sleep(30 * 24 * time.Hour)
				write(t, j.service, "yes")
				expect(t, j.visitor, "yes")
			}
			_ = j.visitor.CloseWrite()
			_ = j.service.CloseWrite()
			if r := <-j.done; r.Err != nil || r.AToB != 240 || r.BToA != 60 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// A bug that one connection finds ends that connection, wherever its goroutines are.
func TestRunSurvives(t *testing.T) {
	for _, later := range []bool{false, true} {
		visitor, a := loopback(t)
		service, b := awaited(t)
		done := make(chan relay.Result, 1)
		if !later {
			write(t, service, "x")
		}
		go relay.Run(t.Context(), a, bug{b.(*testkit.AwaitedConn)}, relay.Options{}, func(r relay.Result) { done <- r })
		if later {
			write(t, service, "x")
		}
		if r := <-done; r.Err == nil || r.Err.Code != postern.CodeInternal || r.Err.Cause == nil {
			t.Fatalf("%+v", r)
		}
		if _, err := visitor.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("the visitor read %v", err)
		}
	}
}

type bug struct{ *testkit.AwaitedConn }

func (bug) Read([]byte) (int, error) { panic("a bug") }
