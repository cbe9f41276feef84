package session

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link/websocket"
)

func TestLadderRemembersWhatWorked(t *testing.T) {
	var l ladder
	both, now := Auto.Ladder(), time.Now()
	reversed := []Transport{WebSocket, TLS}
	order := func(after time.Duration, want []Transport) {
		t.Helper()
		if got := l.order(both, now.Add(after)); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	order(0, both)
	l.tried(TLS, now)
	l.tried(WebSocket, now)
	l.succeeded(WebSocket)
	order(time.Second, reversed)
	order(reconsider, both) // the better one is tried again
	l.tried(TLS, now.Add(reconsider))
	order(reconsider+time.Second, reversed)
	l.succeeded(TLS)
	order(reconsider+time.Second, both)
	if got := l.order(TLS.Ladder(), now); !slices.Equal(got, []Transport{TLS}) {
		t.Errorf("a transport that is fixed gives %v", got)
	}
}

func TestLadderClimbsOnlyWhereItHelps(t *testing.T) {
	unreachable := postern.Errorf(postern.CodeServerUnreachable, "x")
	cutOffThere := unreachable.Because(cut{io.EOF})
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"refused":      {unreachable, false},
		"cut off":      {cutOffThere, true},
		"intercepted":  {postern.Errorf(postern.CodeIntercepted, "x"), true},
		"untrusted":    {postern.Errorf(postern.CodeServerUntrusted, "x"), false},
		"bad token":    {postern.Errorf(postern.CodeTokenInvalid, "x"), false},
		"proxy's no":   {postern.Errorf(postern.CodeProxyRefused, "x"), false},
		"server away":  {unreachable.Because(&websocket.Refusal{Status: 502}), false},
		"proxy's 502":  {unreachable.Because(&dial.ProxyAnswer{Status: 502}), false},
		"server busy":  {postern.Errorf(postern.CodeServerBusy, "x"), false},
		"login is old": {postern.Errorf(postern.CodeAgentTooOld, "x"), false},
		"login is new": {postern.Errorf(postern.CodeServerTooOld, "x"), false},
	} {
		if got := WorthAnother(TLS, c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	// Once TLS has worked, an end in the middle of it is what a restart looks like.
	var l ladder
	l.succeeded(TLS)
	for i := range 2 * vagueMost {
		if got := l.climbs(TLS, cutOffThere); got != (i+1 >= vagueMost) {
			t.Errorf("failure %d: %v", i+1, got)
		}
	}
	l.succeeded(TLS)
	if l.climbs(TLS, cutOffThere) {
		t.Error("a success in between was forgotten")
	}
}

// A server whose proxy says that it is away is coming back: it is asked as often as
// one whose host refuses connections.
func TestServersBehindProxiesAreAskedOften(t *testing.T) {
	for _, away := range []error{&websocket.Refusal{Status: 502}, &dial.ProxyAnswer{Status: 503}} {
		b := backoff{random: func() float64 { return 1 }}
		err := postern.Errorf(postern.CodeServerUnreachable, "x").Because(away)
		for range 20 {
			if wait := b.failed(err, time.Now()); wait > briefRetry {
				t.Fatalf("%v: waited %v", away, wait)
			}
		}
	}
}

func TestConclude(t *testing.T) {
	first := postern.Errorf(postern.CodeIntercepted, "one")
	second := postern.Errorf(postern.CodeServerUntrusted, "two")
	away := postern.Errorf(postern.CodeServerUnreachable, "away").Because(&websocket.Refusal{Status: 503})
	both := Auto.Ladder()
	if err := conclude(both, []error{first}); err != error(first) {
		t.Error(err)
	}
	if err := conclude(both, []error{first, away}); err != error(away) {
		t.Error(err)
	}
	if err := conclude(both, []error{first, second}); !postern.HasCode(err, postern.CodeIntercepted) || err.Error() != "one; over websocket: two (ERR_POSTERN_410)" {
		t.Error(err)
	}
}
