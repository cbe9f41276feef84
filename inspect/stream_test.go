package inspect_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/inspect"
)

func record(t testing.TB, bytes int64) (*inspect.Recorder, *inspect.Stream) {
	t.Helper()
	r := inspect.NewRecorder(inspect.NewStore(bytes), -1)
	return r, r.Stream("web", netip.MustParseAddrPort("192.0.2.7:999"))
}

const getRequest = "GET /a?b=c HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-For: 10.9.9.9, 203.0.113.5\r\n\r\n"

func TestExchange(t *testing.T) {
	r, s := record(t, 0)
	s.FromVisitor([]byte("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"))
	if waiting := r.Store().List(inspect.Filter{}, 0); len(waiting) != 1 || waiting[0].Response != nil || waiting[0].Done {
		t.Fatalf("while the answer is awaited: %+v", waiting)
	}
	s.FromService([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"))
	s.FromService([]byte("2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"))
	s.FromVisitor([]byte(getRequest))
	s.FromService([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
	s.End(nil)

	all := r.Store().List(inspect.Filter{}, 0)
	if len(all) != 2 || all[0].ID <= all[1].ID {
		t.Fatalf("%d exchanges, want the newest first", len(all))
	}
	get, post := all[0], all[1]
	method, target, protocol := post.Request.RequestLine()
	if method != "POST" || target != "/x" || protocol != "HTTP/1.1" || string(post.Request.Body()) != "hello" || post.Remote != "192.0.2.7" {
		t.Errorf("request %q from %s", post.Request.Raw, post.Remote)
	}
	_, status, code := post.Response.StatusLine()
	if status != "201 Created" || code != 201 || string(post.Response.Body()) != "abcde" || string(post.Response.Trailers) != "X-Sum: 1\r\n" || !post.Done || post.Problem != "" {
		t.Errorf("answer %q, %+v", post.Response.Raw, post)
	}
	if get.Remote != "203.0.113.5" || string(get.Request.Raw) != getRequest || get.Response.Size != 0 || !strings.HasPrefix(get.ID, "airt_") {
		t.Errorf("%+v", get)
	}
	if n := r.Meters("web").Requests.Numbers(time.Now()); n.Count != 2 || n.Gauge != 0 || n.P50 <= 0 {
		t.Errorf("%+v", n)
	}
}

// What ends a message early, or makes it something else, is shown as far as it went.
func TestUnusualConversations(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
	for name, c := range map[string]struct {
		script  []string // ">" from the visitor, "<" from the service
		end     error
		answer  string // whole, "" for none
		problem string // a part of it, "" for none
	}{
		"a HEAD's answer has no body":        {script: []string{">HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"}, answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
		"a body that ends with the stream":   {script: []string{">GET / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 200 OK\r\n\r\nab", "<c"}, answer: "HTTP/1.1 200 OK\r\n\r\nabc"},
		"such a body when the stream breaks": {script: []string{">GET / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 200 OK\r\n\r\nab"}, end: errors.New("reset"), answer: "HTTP/1.1 200 OK\r\n\r\nab", problem: "reset"},
		"an upgrade is its head only":        {script: []string{">GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "<HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nFRAMES", ">FRAMES"}, answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
		"an answer before the request's end": {script: []string{">" + post + "he", "<HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", ">llo"}, answer: "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"},
		"and the request never ends":         {script: []string{">" + post + "he", "<HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"}, answer: "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", problem: "ended"},
		"no answer":                          {script: []string{">GET / HTTP/1.1\r\nHost: h\r\n\r\n"}, problem: "ended before the answer"},
		"an answer that is none":             {script: []string{">GET / HTTP/1.1\r\nHost: h\r\n\r\n", "<SSH-2.0-x\r\n\r\n"}, problem: "not HTTP/1.1"},
		"a PROXY header, version 1":          {script: []string{">PRO", ">XY TCP4 1.2.3.4 5.6.7.8 1 2\r", ">\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 204 No\r\n\r\n"}, answer: "HTTP/1.1 204 No\r\n\r\n"},
		"a PROXY header, version 2":          {script: []string{">\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00", ">\x0cABCDEFGHIJKLGET / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 204 No\r\n\r\n"}, answer: "HTTP/1.1 204 No\r\n\r\n"},
		"a method that begins alike":         {script: []string{">P", ">ROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", "<HTTP/1.1 204 No\r\n\r\n"}, answer: "HTTP/1.1 204 No\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := record(t, 0)
			play(s, c.script)
			s.End(c.end)
			all := r.Store().List(inspect.Filter{}, 0)
			if len(all) != 1 || !all[0].Done {
				t.Fatalf("%d exchanges, want one that is done: %+v", len(all), all)
			}
			answer := ""
			if all[0].Response != nil {
				answer = string(all[0].Response.Raw)
			}
			if answer != c.answer || (c.problem == "") != (all[0].Problem == "") || !strings.Contains(all[0].Problem, c.problem) {
				t.Errorf("answer %q, problem %q; want %q, %q", answer, all[0].Problem, c.answer, c.problem)
			}
			if n := r.Meters("web").Requests.Numbers(time.Now()); n.Count != 1 || n.Gauge != 0 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

func play(s *inspect.Stream, script []string) {
	for _, step := range script {
		if step[0] == '>' {
			s.FromVisitor([]byte(step[1:]))
		} else {
			s.FromService([]byte(step[1:]))
		}
	}
}

// What is no HTTP/1.1 is left alone.
func TestForeignStreams(t *testing.T) {
	for name, script := range map[string][]string{
		"HTTP/2":            {">PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "<\x00\x00\x00\x04"},
		"a shell":           {"<SSH-2.0-x\r\n", ">SSH-2.0-y\r\n\r\n"},
		"an endless head":   {">GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 200_000)},
		"an answer alone":   {"<HTTP/1.1 408 Request Timeout\r\n\r\n"},
		"a second head bad": {">\x00\r\n\r\n"},
	} {
		r, s := record(t, 0)
		play(s, script)
		s.End(nil)
		if n := len(r.Store().List(inspect.Filter{}, 0)); n != 0 {
			t.Errorf("%s: %d exchanges", name, n)
		}
	}
}

// Many requests may be on their way before the first answer.
func TestPipelining(t *testing.T) {
	r, s := record(t, 0)
	var requests, answers bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&requests, "PUT /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n%02d\r\n0\r\n\r\n", i, i)
		fmt.Fprintf(&answers, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d", i)
	}
	s.FromVisitor(requests.Bytes())
	s.FromService(answers.Bytes())
	all := r.Store().List(inspect.Filter{}, 0)
	if len(all) != 20 {
		t.Fatalf("%d exchanges", len(all))
	}
	for i, x := range all {
		want := fmt.Sprintf("%02d", 19-i)
		if string(x.Request.Body()) != want || string(x.Response.Body()) != want {
			t.Errorf("exchange %d: %q, %q", i, x.Request.Raw, x.Response.Raw)
		}
	}
}

// A loaded agent keeps so many a second and counts the others.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inspect.NewRecorder(inspect.NewStore(0), 10)
		s := r.Stream("web", netip.AddrPort{})
		for range 3 {
			for range 100 {
				s.FromVisitor([]byte(getRequest))
				s.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
			}
			time.Sleep(time.Second)
		}
		if kept := len(r.Store().List(inspect.Filter{}, 0)); kept != 30 || r.Passed() != 270 {
			t.Errorf("%d kept, %d passed", kept, r.Passed())
		}
		if n := r.Meters("web").Requests.Numbers(time.Now()); n.Count != 300 {
			t.Errorf("counted %d", n.Count)
		}
		time.Sleep(5 * time.Second)
		if n := r.Meters("web").Requests.Numbers(time.Now()); n.Rate1 < 50 || n.Rate1 > 60 || n.Rate15 != 60 && n.Rate15 > n.Rate1+10 {
			t.Errorf("rates %+v", n)
		}
	})
}

func TestMeter(t *testing.T) {
	var m inspect.Meter
	now := time.Unix(1_700_000_000, 0)
	for i := range 100 {
		m.Begin(now)
		m.End(time.Duration(i+1) * time.Millisecond)
	}
	m.Begin(now)
	n := m.Numbers(now.Add(5 * time.Second))
	if n.Count != 101 || n.Gauge != 1 || n.Rate1 != 20.2 || n.Rate15 != 20.2 {
		t.Errorf("%+v", n)
	}
	for got, want := range map[float64]float64{n.P50: 50e6, n.P90: 90e6, n.P95: 95e6, n.P99: 99e6} {
		if got < want*0.99 || got > want*1.01 {
			t.Errorf("percentile %v ns, want %v", got, want)
		}
	}
	// A minute of silence takes the average of one minute to a third.
	if later := m.Numbers(now.Add(65 * time.Second)); later.Rate1 < 20.2*0.36 || later.Rate1 > 20.2*0.38 || later.Rate15 < 18 {
		t.Errorf("%+v", later)
	}
}

// An endpoint that is gone leaves nothing behind, whatever of it still ends.
func TestForget(t *testing.T) {
	r, s := record(t, 0)
	s.FromVisitor([]byte(getRequest))
	r.Meters("web").Connections.Begin(time.Now())
	r.Forget("web")
	s.End(nil)
	if r.Known("web") != nil {
		t.Error("the end of a request brought the numbers back")
	}
	again := &r.Meters("web").Connections
	again.End(time.Second) // it began before
	if n := again.Numbers(time.Now()); n.Gauge != 0 {
		t.Errorf("%d are open", n.Gauge)
	}
}
