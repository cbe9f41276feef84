package edge_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// rule is a subscriber made of functions; those that are nil do nothing. It notes what its
// followers are told.
type rule struct {
	name     string
	needs    edge.Needs
	request  func(x *edge.Exchange) (*edge.Answer, error)
	response func(x *edge.Exchange) (*edge.Answer, error)
	tap      func(d edge.Direction, b []byte)
	end      func(x *edge.Exchange)
	story    *story
	first    bool // only the first exchange counts

	mu      sync.Mutex
	asked   []*route.Route
	follows int
}

// story is what the followers of all rules were told, in its order.
type story struct {
	mu    sync.Mutex
	lines []string
	bytes map[string]string // of bodies, by rule and direction
	ended int
}

func (s *story) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// whole is all that followers were told about requests that found an endpoint.
func (s *story) whole() string {
	told := s.String()
	if !strings.Contains(told, ": request") {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%s\n%q", told, s.bytes)
}

func (s *story) body(name string, d edge.Direction) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[fmt.Sprint(name, d)]
}

// over waits for the end of n calls of End.
func (s *story) over(t testing.TB, n int) {
	t.Helper()
	eventually(t, "followers are told of the end", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.ended >= n
	})
}

func (r *rule) Subscribe(of *route.Route) edge.Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, of)
	return edge.Subscription{Needs: r.needs, Follow: r.follow}
}

func (r *rule) follow(*edge.Exchange) edge.Follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.follows++; r.first && r.follows > 1 {
		return nil
	}
	return r
}

func (r *rule) Request(x *edge.Exchange) (*edge.Answer, error) {
	q := x.Request()
	r.story.tell("%s: request %s %s %s %d %v", r.name, q.Method(), q.Host(), q.Target(), q.Length(), lineText(&q.Message))
	if r.request == nil {
		return nil, nil
	}
	return r.request(x)
}

func (r *rule) Response(x *edge.Exchange) (*edge.Answer, error) {
	p := x.Response()
	r.story.tell("%s: response %d %d %v", r.name, p.Status(), p.Length(), lineText(&p.Message))
	if r.response == nil {
		return nil, nil
	}
	return r.response(x)
}

// lineText is a head but for what differs from run to run.
func lineText(m *edge.Message) (all []string) {
	for name, value := range m.All() {
		if name != "Date" {
			all = append(all, name+": "+value)
		}
	}
	return all
}

func (r *rule) Tap(_ *edge.Exchange, d edge.Direction, b []byte) {
	r.story.mu.Lock()
	if r.story.bytes == nil {
		r.story.bytes = make(map[string]string)
	}
	r.story.bytes[fmt.Sprint(r.name, d)] += string(b)
	r.story.mu.Unlock()
	if r.tap != nil {
		r.tap(d, b)
	}
}

func (r *rule) Upgraded(x *edge.Exchange) { r.story.tell("%s: upgraded %v", r.name, x.Moved() != nil) }

func (r *rule) End(x *edge.Exchange) {
	code := ""
	if failure := x.Failure(); failure != nil {
		code = string(failure.Code)
	}
	r.story.tell("%s: end %d in %d out %d %s", r.name, x.Status(), x.Received(), x.Sent(), code)
	if r.end != nil {
		r.end(x)
	}
	r.story.mu.Lock()
	r.story.ended++
	r.story.mu.Unlock()
}

// subscribed has rules follow the requests of an edge, the first nearest to visitors.
func subscribed(s *story, rules ...*rule) func(*config) {
	return func(c *config) {
		for _, r := range rules {
			r.story = s
			c.Subscribers = append(c.Subscribers, r)
		}
	}
}

// bothPaths runs a test on either path.
func bothPaths(t *testing.T, run func(t *testing.T, path func(*config))) {
	for name, only := range map[string]bool{"relay": false, "nethttp": true} {
		t.Run(name, func(t *testing.T) {
			run(t, func(c *config) { c.NetHTTPOnly = only })
		})
	}
}

// Followers see both heads in the order of an onion, and what they edit goes on; what the
// edge says about the visitor is written after them.
func TestFollowersEditHeads(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		outer := &rule{name: "outer", needs: edge.NeedHead,
			request: func(x *edge.Exchange) (*edge.Answer, error) {
				q := x.Request()
				q.Set("X-Policy", "outer")
				q.Add("X-Real-Ip", "1.2.3.4")
				q.Remove("x-secret")
				q.SetTarget("/rewritten?" + q.Target()[1:])
				return nil, nil
			},
			response: func(x *edge.Exchange) (*edge.Answer, error) {
				x.Response().Set("Strict-Transport-Security", "max-age=1")
				return nil, nil
			},
		}
		inner := &rule{name: "inner", needs: edge.NeedHead,
			request: func(x *edge.Exchange) (*edge.Answer, error) {
				x.Request().Add("x-policy", "inner")
				return nil, nil
			},
			response: func(x *edge.Exchange) (*edge.Answer, error) {
				x.Response().Remove("Server")
				return nil, nil
			},
		}
		s := start(t, path, subscribed(told, outer, inner))
		seen := make(chan *http.Request, 1)
		s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
			seen <- r
			w.Header().Set("Server", "secret/1.0")
			w.Header()["X-Kept"] = []string{"a", "b"}
		}))
		conn := s.dial(s.http)
		answers := bufio.NewReader(conn)
		response, _ := ask(t, conn, answers, "GET /a?b HTTP/1.1\r\nHost: app."+domain+"\r\nX-Policy: visitor\r\nConnection: X-Policy, x-real-ip\r\n"+
			"X-Secret: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n")
		r := <-seen
		if got := fmt.Sprint(r.Header["X-Policy"], r.Header["X-Real-Ip"], r.Header["X-Secret"], r.RequestURI, r.Header["X-Forwarded-For"]); got !=
			"[outer inner] [1.2.3.4] []/rewritten?a?b[127.0.0.1]" {
			t.Errorf("the service saw %s", got)
		}
		if got := fmt.Sprint(response.Header["Server"], response.Header["X-Kept"], response.Header["Strict-Transport-Security"]); got !=
			"[] [a b] [max-age=1]" {
			t.Errorf("the visitor saw %s", got)
		}
		told.over(t, 2)
		want := strings.ReplaceAll(`outer: request GET app.HOST /a?b 0 [X-Secret: 1]
inner: request GET app.HOST /rewritten?a?b 0 [X-Policy: outer X-Real-Ip: 1.2.3.4]
inner: response 200 0 [Server: secret/1.0 X-Kept: a X-Kept: b]
outer: response 200 0 [X-Kept: a X-Kept: b]
inner: end 200 in 0 out 0 `+`
outer: end 200 in 0 out 0 `, "HOST", domain)
		if told.String() != want {
			t.Errorf("followers were told\n%s\nwant\n%s", told, want)
		}
	})
}

// A follower answers instead of the service, which sees nothing; those before it see the
// answer. The connection goes on where the request was read to its end, and only there.
func TestFollowersAnswer(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		outer := &rule{name: "outer", needs: edge.NeedHead | edge.NeedBytes,
			response: func(x *edge.Exchange) (*edge.Answer, error) {
				x.Response().Set("X-Outer", "1")
				return nil, nil
			}}
		middle := &rule{name: "middle", needs: edge.NeedHead,
			request: func(x *edge.Exchange) (*edge.Answer, error) {
				return &edge.Answer{Status: 302, Header: http.Header{"Location": {"/there"}}, Body: []byte("moved")}, nil
			}}
		inner := &rule{name: "inner", needs: edge.NeedHead}
		s := start(t, path, subscribed(told, outer, middle, inner))
		m := s.serve("http://app."+domain, "127.0.0.1:1")
		conn := s.dial(s.http)
		answers := bufio.NewReader(conn)
		for range 2 {
			r, _ := ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
			if r.StatusCode != 302 || r.Header.Get("Location") != "/there" || r.Header.Get("X-Outer") != "1" || r.Close || r.Header.Get("Date") == "" {
				t.Errorf("answer %v", r)
			}
		}
		if r, _ := ask(t, conn, answers, "POST / HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 1000000\r\n\r\nhello"); r.StatusCode != 302 || !r.Close {
			t.Errorf("answer %v", r)
		}
		if n := m.opened.Load(); n > 0 {
			t.Errorf("%d streams were opened", n)
		}
		told.over(t, 9)
		if !strings.HasPrefix(told.String(), strings.ReplaceAll(`outer: request GET app.HOST / 0 []
middle: request GET app.HOST / 0 []
outer: response 302 5 [Location: /there]
inner: end 302 in 0 out 5 
middle: end 302 in 0 out 5 
outer: end 302 in 0 out 5 
`, "HOST", domain)) || told.body("outer", edge.Download) != "movedmovedmoved" {
			t.Errorf("followers were told\n%s\nand %q", told, told.body("outer", edge.Download))
		}
	})
}
