package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// What would not make a well-formed head fails the exchange, with a code, and goes nowhere.
func TestBadEditsFailTheExchange(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		for name, edit := range map[string]func(x *edge.Exchange) (*edge.Answer, error){
			"control character":  request(func(q *edge.Request) { q.Set("X-A", "b\r\nX-C: d") }),
			"no name":            request(func(q *edge.Request) { q.Add("", "b") }),
			"blank in a name":    request(func(q *edge.Request) { q.Add("X A", "b") }),
			"length":             request(func(q *edge.Request) { q.Set("Content-Length", "0") }),
			"coding":             request(func(q *edge.Request) { q.Add("transfer-encoding", "chunked") }),
			"connection":         request(func(q *edge.Request) { q.Set("Connection", "close") }),
			"host":               request(func(q *edge.Request) { q.Set("host", "other") }),
			"alias of a length":  request(func(q *edge.Request) { q.Set("content_length", "0") }),
			"trusted header":     request(func(q *edge.Request) { q.Set("X-Forwarded-For", "1.2.3.4") }),
			"removed trusted":    request(func(q *edge.Request) { q.Remove("x-forwarded-proto") }),
			"alias of a trusted": request(func(q *edge.Request) { q.Set("X_Forwarded_For", "1.2.3.4") }),
			"blank in target":    request(func(q *edge.Request) { q.SetTarget("/a b") }),
			"relative target":    request(func(q *edge.Request) { q.SetTarget("a") }),
			"target with line":   request(func(q *edge.Request) { q.SetTarget("/ HTTP/1.1\r\nX: y") }),
			"body not asked for": request(func(q *edge.Request) { q.SetBody(strings.NewReader("x"), 1) }),
			"status":             func(*edge.Exchange) (*edge.Answer, error) { return &edge.Answer{Status: 101}, nil },
			"answer with length": func(*edge.Exchange) (*edge.Answer, error) {
				return &edge.Answer{Status: 200, Header: http.Header{"Content-Length": {"5"}}}, nil
			},
			"answer with a line": func(*edge.Exchange) (*edge.Answer, error) {
				return &edge.Answer{Status: 200, Header: http.Header{"X-A": {"5\n"}}}, nil
			},
		} {
			t.Run(name, func(t *testing.T) {
				told := new(story)
				s := start(t, path, subscribed(told, &rule{name: "rule", needs: edge.NeedHead, request: edit}))
				m := s.serve("http://app."+domain, "127.0.0.1:1")
				r := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n")
				if code := r.Header.Get("Postern-Error-Code"); r.StatusCode != 500 || code != string(postern.CodeHeadInvalid) || m.opened.Load() > 0 {
					t.Errorf("%s, %s, %d streams", r.Status, code, m.opened.Load())
				}
				told.over(t, 1)
			})
		}
	})
}

func request(edit func(q *edge.Request)) func(x *edge.Exchange) (*edge.Answer, error) {
	return func(x *edge.Exchange) (*edge.Answer, error) { edit(x.Request()); return nil, nil }
}

// A panic in a follower ends the exchange at most, with CodeInternal.
func TestFollowersThatPanic(t *testing.T) {
	broken := func(*edge.Exchange) (*edge.Answer, error) { panic("broken") }
	bothPaths(t, func(t *testing.T, path func(*config)) {
		for name, c := range map[string]struct {
			rule *rule
			fine bool // the answer arrives whole
		}{
			"request":  {&rule{request: broken}, false},
			"response": {&rule{response: broken}, false},
			"upload": {&rule{tap: func(d edge.Direction, _ []byte) {
				if d == edge.Upload {
					panic("broken")
				}
			}}, false},
			"download": {&rule{tap: func(d edge.Direction, _ []byte) {
				if d == edge.Download {
					panic("broken")
				}
			}}, false},
			"end": {&rule{end: func(*edge.Exchange) { panic("broken") }}, true},
		} {
			t.Run(name, func(t *testing.T) {
				told := new(story)
				r := c.rule
				r.name, r.needs = "rule", edge.NeedHead|edge.NeedBytes
				last := &rule{name: "last", needs: edge.NeedOutcome}
				s := start(t, path, func(c *config) { c.Logger = nil }, subscribed(told, last, r))
				s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
				for range 2 { // the process goes on
					conn := s.dial(s.http)
					say(t, conn, "POST / HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
					response, err := http.ReadResponse(bufio.NewReader(conn), nil)
					whole := false
					if err == nil {
						text, err := io.ReadAll(response.Body)
						whole = err == nil && response.StatusCode == 200 && string(text) == "hello"
					}
					if whole != c.fine {
						t.Errorf("whole: %v; %v %v", whole, response, err)
					}
				}
				want := string(postern.CodeInternal)
				if c.fine {
					want = "end 200"
				}
				eventually(t, "the last is told", func() bool { return strings.Count(told.String(), "last: end") == 2 })
				if got := told.String(); strings.Count(got, want) < 2 {
					t.Errorf("followers were told\n%s", got)
				}
			})
		}
	})
}

// ErrHangUp ends the connection without an answer.
func TestFollowersHangUp(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		s := start(t, path, subscribed(told, &rule{name: "rule", needs: edge.NeedHead,
			request: func(*edge.Exchange) (*edge.Answer, error) { return nil, edge.ErrHangUp }}))
		s.serve("http://app."+domain, "127.0.0.1:1")
		conn := s.dial(s.http)
		say(t, conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		if text, _ := io.ReadAll(conn); len(text) > 0 {
			t.Errorf("got %q", text)
		}
		told.over(t, 1)
		if !strings.HasSuffix(told.String(), "end 0 in 0 out 0 "+string(postern.CodeHungUp)) {
			t.Errorf("followers were told\n%s", told)
		}
	})
}

// Needs are asked for once a route, not once a request, and anew after a reload; requests
// that find no endpoint are followed too.
func TestNeedsAreAskedOnceARoute(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		r := &rule{name: "rule", needs: edge.NeedHead}
		s := start(t, path, subscribed(told, r))
		s.serve("http://app."+domain, s.upstream(func(http.ResponseWriter, *http.Request) {}))
		conn := s.dial(s.http)
		answers := bufio.NewReader(conn)
		for range 3 {
			ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		}
		if response, _ := ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: other."+domain+"\r\n\r\n"); response.StatusCode != 404 {
			t.Errorf("got %v", response)
		}
		told.over(t, 4)
		if !strings.HasSuffix(told.String(), "rule: end 404 in 0 out 0 ERR_NGROK_3200") && !strings.Contains(told.String(), "rule: end 404") {
			t.Errorf("followers were told\n%s", told)
		}
		asked := func() (routed, unrouted int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, of := range r.asked {
				if of == nil {
					unrouted++
				} else {
					routed++
				}
			}
			return routed, unrouted
		}
		if routed, unrouted := asked(); routed != 1 || unrouted != 1 {
			t.Errorf("asked %d and %d times", routed, unrouted)
		}
		s.edge.Reload(edge.Live{})
		ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		if routed, unrouted := asked(); routed != 2 || unrouted != 2 {
			t.Errorf("asked %d and %d times after a reload", routed, unrouted)
		}
	})
}

// A follower that takes its time learns that the visitor has left.
func TestContextEndsWithTheVisitor(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		began := make(chan struct{})
		s := start(t, path, subscribed(told, &rule{name: "rule", needs: edge.NeedHead,
			request: func(x *edge.Exchange) (*edge.Answer, error) {
				ctx := x.Context()
				close(began)
				<-ctx.Done()
				return nil, nil
			}}))
		m := s.serve("http://app."+domain, "127.0.0.1:1")
		conn := s.dial(s.http)
		say(t, conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		<-began
		conn.Close()
		told.over(t, 1)
		if !strings.HasSuffix(told.String(), "end 0 in 0 out 0 "+string(postern.CodeStreamReset)) || m.opened.Load() > 0 {
			t.Errorf("followers were told\n%s", told)
		}
	})
}

// A request that waits for its agent is shown to the followers of the route that it then
// takes: nobody slips past the rules of a new binding.
func TestFollowersOfTheRouteThatServes(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		subscriber := &byRoute{story: told}
		recent := new(route.Recent)
		s := start(t, path, func(c *config) { c.Recent, c.Subscribers = recent, []edge.Subscriber{subscriber} })
		addr := s.upstream(func(http.ResponseWriter, *http.Request) {})
		s.serve("http://app."+domain, addr, func(m *member) { m.refuse = &postern.Error{Code: postern.CodeLinkDraining} })
		subscriber.strictFrom = 2
		var asking sync.WaitGroup
		asking.Go(func() {
			if r := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"); r.StatusCode != 403 {
				t.Errorf("got %v", r.Status)
			}
		})
		eventually(t, "the first route was tried", func() bool {
			subscriber.mu.Lock()
			defer subscriber.mu.Unlock()
			return len(subscriber.seen) > 0
		})
		recent.Lose(postern.URL{Scheme: postern.HTTP, Host: "app." + domain}) // what goes without is not waited for
		s.clear()
		s.serve("http://app."+domain, addr)
		asking.Wait()
	})
}

// byRoute asks for nothing of the first route, and denies the requests of the others.
type byRoute struct {
	edge.Passive
	story      *story
	strictFrom int
	mu         sync.Mutex
	seen       []*route.Route
}

func (b *byRoute) Subscribe(r *route.Route) edge.Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r == nil {
		return edge.Subscription{}
	}
	if b.seen = append(b.seen, r); len(b.seen) < b.strictFrom {
		return edge.Subscription{}
	}
	return edge.Subscription{Needs: edge.NeedHead, Follow: func(*edge.Exchange) edge.Follower { return b }}
}

func (b *byRoute) Request(*edge.Exchange) (*edge.Answer, error) {
	return &edge.Answer{Status: 403}, nil
}
