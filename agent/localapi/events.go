package localapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/postern-dev/postern/inspect"
)

// quietTime is how long an event stream is silent before a comment shows that it lives.
const quietTime = 15 * time.Second

// follow sends what happens until the client leaves: how things are first, then changes.
// Requests come without their raw text. Who does not read loses requests, and is told
// how many; states are sent as they are by then.
func (a *API) follow(w http.ResponseWriter, c *call) (answer, error) {
	if c.Method == http.MethodHead {
		return answer{status: http.StatusOK}, nil
	}
	select {
	case a.followers <- struct{}{}:
		defer func() { <-a.followers }()
	default:
		return answer{}, generic(http.StatusServiceUnavailable, map[string]string{"err": "too many clients follow the events already"})
	}
	changed := make(chan struct{}, 1)
	stop := a.config.Agent.Watch(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stop()
	requests := a.config.Recorder.Store().Follow()
	defer requests.Close()

	c.noReadDeadline()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	f := &follower{api: a, w: w, controller: c.controller}
	f.run(c, changed, requests)
	return answer{}, nil
}

// follower is one event stream.
type follower struct {
	api        *API
	w          http.ResponseWriter
	controller *http.ResponseController
	last       map[string][]byte // what was sent of states
}

func (f *follower) run(c *call, changed <-chan struct{}, requests *inspect.Follower) {
	f.last = map[string][]byte{}
	quiet := time.NewTicker(quietTime)
	defer quiet.Stop()
	for ok := f.states(); ok; {
		select {
		case <-c.Context().Done():
			return
		case <-changed:
			ok = f.states()
		case <-requests.Ready():
			x := requests.Next()
			if x == nil {
				break
			}
			seen := shown(x)
			seen.Request.Raw = nil
			if seen.Response != nil {
				seen.Response.Raw = nil
			}
			ok = f.send("request", seen)
		case <-quiet.C:
			ok = f.write([]byte(": still here\n\n"))
		}
		if lost := requests.Lost(); ok && lost > 0 {
			ok = f.send("lost", map[string]int64{"requests": lost})
		}
	}
}

// states sends those that have changed.
func (f *follower) states() bool {
	tunnels := f.api.tunnels()
	for i := range tunnels.Tunnels {
		tunnels.Tunnels[i].Metrics = tunnelMetrics{} // they change all the time
	}
	for _, state := range []struct {
		name string
		is   any
	}{{"status", f.api.status()}, {"tunnels", tunnels}} {
		text, err := json.Marshal(state.is)
		if err != nil || bytes.Equal(text, f.last[state.name]) {
			continue
		}
		f.last[state.name] = text
		if !f.send(state.name, json.RawMessage(text)) {
			return false
		}
	}
	return true
}

func (f *follower) send(name string, body any) bool {
	text, err := json.Marshal(body)
	if err != nil {
		return true // it cannot be said; the next one can
	}
	return f.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text))
}

func (f *follower) write(text []byte) bool {
	_ = f.controller.SetWriteDeadline(time.Now().Add(quietTime)) // see ServeHTTP
	if _, err := f.w.Write(text); err != nil {
		return false
	}
	return f.controller.Flush() == nil
}
