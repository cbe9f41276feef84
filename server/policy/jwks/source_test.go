package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/jwks"
)

// issuer is a Caller that answers as it is told to.
type issuer struct {
	mu     sync.Mutex
	asked  []outcall.Call
	answer outcall.Answer
	err    error
	takes  time.Duration
}

func (i *issuer) Do(ctx context.Context, call outcall.Call) (*outcall.Answer, error) {
	i.mu.Lock()
	i.asked = append(i.asked, call)
	answer, err, takes := i.answer, i.err, i.takes
	i.mu.Unlock()
	time.Sleep(takes)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &answer, err
}

// publishes a key set; control is its Cache-Control.
func (i *issuer) publishes(control string, keys ...any) {
	i.answer, i.err = outcall.Answer{Status: 200, Header: http.Header{"Cache-Control": {control}, "Etag": {`"1"`}}, Body: text(keys...)}, nil
}

const issuerURL = "https://issuer.example/keys"

func source(t *testing.T, script func(*testing.T, *issuer, *jwks.Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		script(t, i, jwks.NewSource(issuerURL))
	})
}

// finds looks a key up, and checks how many questions there were so far.
func finds(t *testing.T, s *jwks.Source, i *issuer, id string, want bool, asked int) {
	t.Helper()
	keys, err := s.Find(t.Context(), i, "ac_1", id, "EdDSA")
	if got := len(keys) == 1; got != want {
		t.Errorf("%q is found: %v, %v", id, got, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.asked) != asked {
		t.Errorf("asked %d times, want %d", len(i.asked), asked)
	}
}

func key(id string) object { return with(material().ed, "kid", id) }

// Keys are used as long as the issuer says, within bounds, and then asked for with the tag
// of what is there.
func TestLifetime(t *testing.T) {
	for control, fresh := range map[string]time.Duration{
		"": 15 * time.Minute, "public, max-age=600": 10 * time.Minute, "Max-Age=600": 10 * time.Minute, `max-age="120"`: 2 * time.Minute,
		"max-age=0": time.Minute, "no-store": time.Minute, "max-age=600, no-cache": time.Minute, "max-age=-1": time.Minute, "max-age=x": time.Minute,
		"max-age=99999999": 24 * time.Hour, "max-age=999999999999999999999": time.Minute, "private": 15 * time.Minute,
	} {
		source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
			i.publishes(control, key("a"))
			finds(t, s, i, "a", true, 1)
			time.Sleep(fresh - time.Second)
			finds(t, s, i, "a", true, 1)
			i.answer = outcall.Answer{Status: 304, Header: i.answer.Header}
			time.Sleep(time.Second)
			finds(t, s, i, "a", true, 2)
			call := i.asked[1]
			if call.Header.Get("If-None-Match") != `"1"` || call.URL != issuerURL || call.Account != "ac_1" {
				t.Errorf("%q: %+v", control, call)
			}
			time.Sleep(fresh - time.Second)
			finds(t, s, i, "a", true, 2)
		})
	}
}

// A key that is not known is asked for, at most every 30 seconds, however many come.
func TestUnknownKey(t *testing.T) {
	source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.publishes("", key("a"))
		finds(t, s, i, "a", true, 1)
		i.publishes("", key("a"), key("b"))
		for range 10 {
			finds(t, s, i, "b", false, 1)
		}
		time.Sleep(30 * time.Second)
		finds(t, s, i, "b", true, 2)
		for n := range 100 {
			finds(t, s, i, "forged", false, 2+n/30)
			time.Sleep(time.Second)
		}
		finds(t, s, i, "a", true, 5)
	})
}

// While the issuer is silent the last good keys are used, for a day, and it is asked once
// in a while.
func TestLastGoodKeys(t *testing.T) {
	for name, silence := range map[string]func(*issuer){
		"no answer":  func(i *issuer) { i.err = errors.New("gone") },
		"an error":   func(i *issuer) { i.answer = outcall.Answer{Status: 503} },
		"no set":     func(i *issuer) { i.answer = outcall.Answer{Status: 200, Body: []byte("<html>")} },
		"no keys":    func(i *issuer) { i.answer = outcall.Answer{Status: 200, Body: []byte(`{"keys":[]}`)} },
		"a redirect": func(i *issuer) { i.answer = outcall.Answer{Status: 302} },
	} {
		t.Run(name, func(t *testing.T) {
			source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
				i.publishes("max-age=60", key("a"))
				finds(t, s, i, "a", true, 1)
				silence(i)
				time.Sleep(time.Minute)
				finds(t, s, i, "a", true, 2)
				finds(t, s, i, "a", true, 2)
				time.Sleep(30 * time.Second)
				finds(t, s, i, "a", true, 3)
				time.Sleep(24*time.Hour - 31*time.Second)
				finds(t, s, i, "a", true, 4)
				time.Sleep(time.Minute)
				finds(t, s, i, "a", false, 5)
				if _, err := s.Find(t.Context(), i, "ac_1", "a", "EdDSA"); err == nil {
					t.Error("no error says why there are no keys")
				}
				i.publishes("", key("a"))
				time.Sleep(5 * time.Second)
				finds(t, s, i, "a", true, 6)
			})
		})
	}
}

// Keys that the issuer has withdrawn are gone with the next answer.
func TestWithdrawnKey(t *testing.T) {
	source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.publishes("max-age=60", key("a"), key("b"))
		finds(t, s, i, "b", true, 1)
		i.publishes("max-age=60", key("a"))
		time.Sleep(time.Minute)
		finds(t, s, i, "b", false, 2)
	})
}

// Whoever comes while the set is on its way waits for the same answer; and if keys are
// there, nobody but the one who asks waits.
func TestOneQuestionForAll(t *testing.T) {
	source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.publishes("max-age=60", key("a"))
		i.takes = 2 * time.Second
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { finds(t, s, i, "a", true, 1) })
		}
		all.Wait()
		time.Sleep(time.Minute)
		begin := time.Now()
		all.Go(func() { finds(t, s, i, "a", true, 2) })
		synctest.Wait()
		finds(t, s, i, "a", true, 2)
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("waited %v though keys are there", waited)
		}
		all.Wait()
	})
}

// Who gives up does not take the answer from those who wait for it.
func TestWhoAskedFirstGivesUp(t *testing.T) {
	source(t, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.publishes("", key("a"))
		i.takes = 2 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = s.Find(ctx, i, "ac_1", "a", "EdDSA") })
		synctest.Wait()
		all.Go(func() { finds(t, s, i, "a", true, 1) })
		waiting, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		all.Go(func() {
			_, err := s.Find(waiting, i, "ac_1", "a", "EdDSA")
			var known *postern.Error
			if !errors.As(err, &known) || known.Code != postern.CodeOutcallFailed {
				t.Errorf("%v", err)
			}
		})
		cancel()
		all.Wait()
	})
}
