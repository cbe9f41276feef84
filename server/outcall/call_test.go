package outcall_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/outcall"
)

// echo answers with the request that came.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "host": r.Host, "uri": r.RequestURI, "header": r.Header, "body": string(body)})
}

type heard struct {
	Method, Host, URI, Body string
	Header                  http.Header
}

func hears(t testing.TB, answer *outcall.Answer, err error) (h heard) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer.Body, &h); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	return h
}

func heardOf(t testing.TB, c *outcall.Client, call outcall.Call) heard {
	t.Helper()
	answer, err := c.Do(t.Context(), call)
	return hears(t, answer, err)
}

func TestDo(t *testing.T) {
	s := serve(t, echo)
	c := client(t, outcall.Config{Allow: loopback()})
	answer, err := c.Do(t.Context(), outcall.Call{Account: "ac_1", Method: "POST", URL: s.URL + "/a?b=c#d", Body: []byte("words"),
		Header: http.Header{"Content-Type": {"text/plain"}, "Authorization": {"Bearer x"}}})
	h := hears(t, answer, err)
	if h.Method != "POST" || h.URI != "/a?b=c" || h.Body != "words" || h.Header.Get("Authorization") != "Bearer x" || h.Header.Get("User-Agent") != "postern" {
		t.Errorf("%+v", h)
	}
	if h.Header.Get("Accept-Encoding") != "" || h.Header.Get("Cookie") != "" {
		t.Errorf("it sends %v of its own", h.Header)
	}
	if answer.Status != 200 || answer.Header.Get("Content-Length") == "" || answer.URL != s.URL+"/a?b=c#d" {
		t.Errorf("%+v", answer)
	}
	if h := heardOf(t, c, outcall.Call{URL: s.URL}); h.Method != "GET" || h.Body != "" {
		t.Errorf("%+v", h)
	}
}

// What is allowed changes for the calls that begin afterwards.
func TestSetAllow(t *testing.T) {
	s := serve(t, echo)
	c := client(t, outcall.Config{})
	_, err := get(t, c, s.URL)
	fails(t, err, postern.CodeOutcallRefused, "127.0.0.1")
	c.SetAllow(loopback())
	if _, err := get(t, c, s.URL); err != nil {
		t.Error(err)
	}
	c.SetAllow([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	_, err = get(t, c, s.URL)
	fails(t, err, postern.CodeOutcallRefused, "127.0.0.1")
}

func TestCallsThatCannotBeMade(t *testing.T) {
	c := client(t, outcall.Config{})
	with := func(name, value string) http.Header { return http.Header{name: {value}} }
	for says, call := range map[string]outcall.Call{
		"method \"TRACE\"":     {Method: "TRACE"},
		"method \"CONNECT\"":   {Method: "CONNECT"},
		"method \"get\"":       {Method: "get"},
		"the header \"Host\"":  {Header: with("Host", "other.example")},
		"the header \"host\"":  {Header: with("host", "other.example")},
		"Transfer-Encoding":    {Header: with("Transfer-Encoding", "chunked")},
		"Content-Length":       {Header: with("Content-Length", "1")},
		"Connection":           {Header: with("Connection", "X-A")},
		"Upgrade":              {Header: with("Upgrade", "websocket")},
		"Proxy-Authorization":  {Header: with("Proxy-Authorization", "Basic x")},
		"is not a header's":    {Header: with("A B", "x")},
		"no header may have":   {Header: with("A", "x\r\nB: y")},
		"at most 1048576 are":  {Body: make([]byte, outcall.MostBody+1)},
		"at most 8192 are all": {URL: "http://a.example/" + strings.Repeat("a", 8192)},
	} {
		if call.URL == "" {
			call.URL = "http://a.example/"
		}
		_, err := c.Do(t.Context(), call)
		fails(t, err, postern.CodeOutcallInvalid, says)
	}
}

// Answers may be only so large, also those that unpack themselves.
func TestBudgetOfBytes(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case "/head":
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		default:
			_, _ = w.Write(make([]byte, 1000))
		}
	})
	c := client(t, outcall.Config{Allow: loopback()})
	call := outcall.Call{URL: s.URL, Most: 1000}
	if answer, err := c.Do(t.Context(), call); err != nil || len(answer.Body) != 1000 {
		t.Errorf("%v", err)
	}
	call.Most = 999
	_, err := c.Do(t.Context(), call)
	fails(t, err, postern.CodeOutcallFailed, "larger than 999 bytes")
	if answer, err := get(t, c, s.URL+"/bomb"); err != nil || len(answer.Body) != packed.Len() {
		t.Errorf("the packed answer: %v", err)
	}
	_, err = get(t, c, s.URL+"/head")
	fails(t, err, postern.CodeOutcallFailed, "")
}

// Calls end in time, wherever the other side stops.
func TestTimeout(t *testing.T) {
	gate := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = w.Write([]byte("begin"))
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	})
	defer close(gate)
	c := client(t, outcall.Config{Allow: loopback()})
	for _, path := range []string{"/head", "/body"} {
		_, err := c.Do(t.Context(), outcall.Call{URL: s.URL + path, Timeout: 50 * time.Millisecond})
		fails(t, err, postern.CodeOutcallFailed, "in time")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Do(ctx, outcall.Call{URL: s.URL})
	fails(t, err, postern.CodeOutcallFailed, "given up")
}

// An account has a number of calls at once, which others do not share.
func TestCallsAtOnce(t *testing.T) {
	const most = 32
	arrived, gate := make(chan struct{}, 2*most), make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- struct{}{}
			<-gate
		}
	})
	c := client(t, outcall.Config{Allow: loopback()})
	results := make(chan error, most)
	for range most {
		go func() {
			_, err := c.Do(context.Background(), outcall.Call{Account: "ac_1", URL: s.URL + "/wait"})
			results <- err
		}()
	}
	for range most {
		<-arrived
	}
	_, err := c.Do(t.Context(), outcall.Call{Account: "ac_1", URL: s.URL})
	fails(t, err, postern.CodeOutcallsBusy, "32 calls under way")
	if _, err := c.Do(t.Context(), outcall.Call{Account: "ac_2", URL: s.URL}); err != nil {
		t.Errorf("another account: %v", err)
	}
	close(gate)
	for range most {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Do(t.Context(), outcall.Call{Account: "ac_1", URL: s.URL}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The environment's proxy is not for calls.
func TestNoProxy(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	s := serve(t, echo)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	c := client(t, outcall.Config{Allow: loopback(), Resolver: asking(nameserver.NewLocal(t, nil))})
	if answer, err := get(t, c, "http://a.example:"+port); err != nil || answer.Status != 200 {
		t.Errorf("%v", err)
	}
}

// Certificates are checked, and against the name that was called.
func TestTLS(t *testing.T) {
	s := serveTLS(t, echo)
	_, err := get(t, client(t, outcall.Config{Allow: loopback()}), s.URL)
	fails(t, err, postern.CodeOutcallFailed, "")
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := get(t, client(t, outcall.Config{Allow: loopback(), Roots: roots}), s.URL); err != nil {
		t.Error(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	_, err = get(t, client(t, outcall.Config{Allow: loopback(), Roots: roots, Resolver: asking(nameserver.NewLocal(t, nil))}), "https://other.test:"+port)
	fails(t, err, postern.CodeOutcallFailed, "")
}
