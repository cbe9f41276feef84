package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// recorder is a member whose service notes the first request and answers it.
type recorder struct {
	*member
	mu   sync.Mutex
	seen string
}

func (r *recorder) Open(_ context.Context, _ link.Header, first []byte) (link.Stream, error) {
	near, far := testkit.Pipe()
	if _, err := near.Write(first); err != nil {
		return nil, err
	}
	go r.answer(far)
	return pipeStream{near.(*testkit.PipeConn)}, nil
}

func (r *recorder) answer(conn net.Conn) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // cut off: it must not count
	}
	r.mu.Lock()
	if r.seen == "" {
		r.seen = describe(request, body)
	}
	r.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

// describe writes all that a service can tell about a request. The order of lines is
// kept where it means something: among those of one name.
func describe(r *http.Request, body []byte) string {
	var lines []string
	for name, values := range r.Header {
		switch {
		case name == "Content-Length": // in the framing
		case name == "User-Agent" && values[0] == "": // net/http does not send it
		case name == "User-Agent": // nor a second one
			values = values[:1]
			fallthrough
		default:
			lines = append(lines, fmt.Sprintf("%s: %q", name, values))
		}
	}
	slices.Sort(lines)
	length := max(r.ContentLength, -1)
	target := r.RequestURI
	if strings.HasPrefix(target, "//") { // net/http's client escapes its odd characters, the relay never does
		target = r.URL.EscapedPath() + "?" + r.URL.RawQuery
	}
	return fmt.Sprintf("%s %s %s length %d %v %q trailer %v\n%s", r.Method, target, r.Host, length,
		r.TransferEncoding, body, r.Trailer, strings.Join(lines, "\n"))
}

// pipeStream is a link.Stream in memory, for one request.
type pipeStream struct{ *testkit.PipeConn }

func (s pipeStream) Reset(*postern.Error) { _ = s.SetLinger(0); _ = s.Close() }

// served is what became of some bytes.
type served struct {
	seen  string // by the service
	told  string // to those who follow requests, about the first
	taken string // by the visitor, where a rule meddled
}

// serveOnce sends raw bytes through an edge and gives what the service saw, "" for
// nothing, and the others.
func serveOnce(t *testing.T, raw []byte, change ...func(*edge.Config)) (all served) {
	t.Helper()
	m := &recorder{member: newMember("")}
	defer m.stop()
	table, err := route.New([]*route.Route{{URL: postern.URL{Scheme: postern.HTTP, Host: "a"}, Owner: single{m}}})
	must(t, err)
	config := edge.Config{Domain: domain, Routes: new(route.Current)}
	config.Routes.Store(table)
	for _, c := range change {
		c(&config)
	}
	e := edge.New(config)
	listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = e.ServeHTTP(context.Background(), listener) })
	near, far := testkit.Pipe()
	listener.conns <- far
	_ = near.SetDeadline(time.Now().Add(time.Hour))
	go near.Write(raw)
	answers := bufio.NewReader(near)
	response, err := http.ReadResponse(answers, nil)
	for err == nil && response.StatusCode < 200 {
		response, err = http.ReadResponse(answers, nil)
	}
	if err == nil && len(config.Subscribers) > 0 {
		text, _ := io.ReadAll(response.Body)
		if response.Header["Postern-Request-Id"] != nil {
			text = nil // a page, which shows the id
		}
		all.taken = fmt.Sprintf("%d %q %q", response.StatusCode, text, response.Header["X-Rule"])
	}
	near.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = e.Shutdown(ctx)
	serving.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	all.seen = m.seen
	if len(config.Subscribers) > 0 {
		if all.told = config.Subscribers[0].(*rule).story.whole(); all.told == "" {
			all.taken = "" // two ways to refuse
		}
	}
	return all
}

type single struct{ route.Member }

func (s single) Pick(skip func(route.Member) bool) (route.Member, error) {
	if skip != nil && skip(s.Member) {
		return nil, &postern.Error{Code: postern.CodeEndpointOffline}
	}
	return s.Member, nil
}

// differences are requests that the relay refuses on purpose though net/http takes
// them: it settles each of these doubts in a safe way, but a parser before or behind
// us might settle it in another.
var differences = []struct {
	reason string
	found  *regexp.Regexp
}{
	{"a line that ends with a bare LF: some parsers see two lines, some one", regexp.MustCompile(`(^|[^\r])\n`)},
	{"a folded line: some parsers read its second half as a line of its own", regexp.MustCompile(`\n[ \t]`)},
	{"two equal lengths: a parser that joins them reads another number", regexp.MustCompile(`(?is)content-length.*content-length`)},
	{"a coding in HTTP/1.0, which does not know them (Pingora, CVE-2026-2835)", regexp.MustCompile(`(?is)HTTP/1\.0.*transfer-encoding`)},
	{"a version that does not exist", regexp.MustCompile(`HTTP/1\.[2-9]`)},
	{"a chunk size with blanks behind it", regexp.MustCompile(`\n[0-9a-fA-F]+[ \t]+\r`)},
	{"a chunk's line of more than a KiB: nobody has extensions to say", regexp.MustCompile(`(?s)\r\n\r\n.*[^\n]{1000}`)},
	{"a control character in a chunk's extension or a trailer", regexp.MustCompile(`(?s)\r\n\r\n.*[\x00-\x08\x0b-\x1f\x7f]`)},
}

// unasked is what a story says of how much came of a request's body.
var unasked = regexp.MustCompile(` in \d+`)

// corpus is what an hour of fuzzing found to take ways of its own through the code;
// scripts/keep-corpus.sh adds to it.
func corpus(f *testing.F) (all [][]byte) {
	text, err := os.ReadFile("testdata/bothpaths.corpus")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		raw, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			f.Fatalf("%s: %v", line, err)
		}
		all = append(all, []byte(raw))
	}
	return all
}

// The relay and net/http give a service the same request from the same bytes, or none.
func FuzzBothPaths(f *testing.F) {
	for name, c := range garden {
		if name != "TE.TE" {
			f.Add([]byte(strings.ReplaceAll(c.request, "H\r\n", "a\r\n")))
		}
	}
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n", "POST /%41//b?c=%zz&d HTTP/1.1\r\nhost: A:80\r\nContent-Length: 5\r\n",
		"PUT //x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n", "GET http://a/x HTTP/1.1\r\nHost: b\r\n",
		"PUT /answer/please HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n", "GET /deny HTTP/1.1\r\nHost: a\r\n",
		"POST /rewrite?%zz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", "GET /invalid HTTP/1.1\r\nHost: a\r\n",
		"HEAD /é|\\^ HTTP/1.1\r\nHost: a.\r\n", "GET / HTTP/1.0\r\nHost: a\r\n", "BREW /? HTTP/1.1\r\nHost: a\r\n",
	} {
		for _, rest := range []string{
			"", "Connection: close, X-A, Host\r\nX-A: 1\r\nX-a: 2\r\n", "X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_Proto: x\r\nForwarded: y\r\nPostern-A: b\r\n",
			"Cookie: a\r\ncookie:b\r\nTE: trailers\r\nTrailer: X-T\r\nKeep-Alive: 5\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n",
			"Pragma: no-cache\r\nUser-Agent:\r\nAccept-Encoding: gzip\r\nContent-Type: x\r\n",
		} {
			f.Add([]byte(head + rest + "\r\nhello5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"))
			f.Add([]byte(head + rest + "\r\n5;x=y\r\nhello\r\n00\r\n\r\n"))
		}
	}
	for _, raw := range corpus(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, set := range [][]func(*edge.Config){nil, {trustTestNet}, {meddled}, {trustTestNet, meddled}} {
			synctest.Test(t, func(t *testing.T) {
				over := serveOnce(t, raw, set...)
				general := serveOnce(t, raw, append(slices.Clip(set), func(c *edge.Config) { c.NetHTTPOnly = true })...)
				if over.seen == "" {
					// How much had come of a body that nobody asked for is a matter of moments.
					over.told, general.told = unasked.ReplaceAllString(over.told, ""), unasked.ReplaceAllString(general.told, "")
				}
				if over != general && !(over.seen == "" && isIntended(raw)) {
					t.Errorf("of %q the relay makes\n%v\n\nand net/http\n%v", raw, over, general)
				}
			})
		}
	})
}

// meddled has the first request of an edge followed by rules that see and change heads,
// answer some requests, and are shown bodies.
func meddled(c *edge.Config) {
	told := new(story)
	c.Subscribers = []edge.Subscriber{
		&rule{story: told, first: true, name: "outer", needs: edge.NeedHead | edge.NeedBytes, request: meddle, response: meddleAgain},
		&rule{story: told, first: true, name: "inner", needs: edge.NeedHead, request: decide},
		&rule{story: told, first: true, name: "bytes", needs: edge.NeedBytes},
	}
}

func meddle(x *edge.Exchange) (*edge.Answer, error) {
	q := x.Request()
	q.Set("X-Set", q.Get("Cookie")+q.Get("User-Agent"))
	q.Add("x-a", "rule's")
	q.Add("Forwarded", "for=rule")
	q.Remove("Content-Type")
	return nil, nil
}

func meddleAgain(x *edge.Exchange) (*edge.Answer, error) {
	x.Response().Add("X-Rule", fmt.Sprint(x.Response().Status()))
	return nil, nil
}

// decide depends on the target alone.
func decide(x *edge.Exchange) (*edge.Answer, error) {
	target := x.Request().Target()
	switch {
	case strings.Contains(target, "answer"):
		return &edge.Answer{Status: 200 + len(target)%300, Header: http.Header{"X-A": {"1", "2"}}, Body: []byte("body")}, nil
	case strings.Contains(target, "deny"):
		return nil, postern.Errorf(postern.CodeMisdirected, "denied")
	case strings.Contains(target, "invalid"):
		x.Request().Set("X-Bad", target+"\r\n")
	case strings.Contains(target, "rewrite"):
		x.Request().SetTarget("/" + target)
	}
	return nil, nil
}

// trustTestNet makes the visitor a trusted proxy.
func trustTestNet(c *edge.Config) {
	c.TrustedProxies = append(c.TrustedProxies, testNet)
}

func isIntended(raw []byte) bool {
	for _, d := range differences {
		if d.found.Match(raw) {
			return true
		}
	}
	return false
}

var (
	_ link.Stream  = pipeStream{}
	_ net.Listener = (*pipes)(nil)
)

// testNet is where testkit's pipes come from.
var testNet = netip.MustParsePrefix("192.0.2.0/24")
