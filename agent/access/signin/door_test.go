package signin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/agent/access/signin"
)

const (
	password = "correct: horse ü"
	gates    = "__Host-postern-gate-01020304=x; Path=/; Secure"
)

// stage is an endpoint, and a door to it.
type stage struct {
	t        *testing.T
	endpoint *httptest.Server
	address  string // of the door
	warnings atomic.Int32
	stop     context.CancelFunc
	stopped  chan error
}

func open(t *testing.T, endpoint http.HandlerFunc, change ...func(*signin.Config)) *stage {
	t.Helper()
	s := &stage{t: t, endpoint: httptest.NewTLSServer(endpoint), stopped: make(chan error, 1)}
	t.Cleanup(s.endpoint.Close)
	at, err := url.Parse(s.endpoint.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := signin.Config{
		URL: at, User: "ann", Password: password, Transport: s.endpoint.Client().Transport.(*http.Transport),
		WrongPassword: func() { s.warnings.Add(1) },
	}
	for _, f := range change {
		f(&c)
	}
	door, err := signin.New(c)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	go func() { s.stopped <- door.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-s.stopped; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request as it is written and gives the answer, with its body read.
func (s *stage) ask(lines ...string) (*http.Response, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(lines[0], " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(body)
}

// What a client wrote arrives as it was, but for Host and the one line that signs it in.
func TestPassesOn(t *testing.T) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password))
	for target, odd := range map[string]string{
		"/":                       "Bearer eyJhbGciOi.e30.x-_y",
		"/a%2Fb|c/../d;x?q=1;r=%": "bearer  x , y",
		"//a%2Fb?":                "Basic cm9vdDp0b29y",
		"/%41^":                   "ä",
	} {
		var got *http.Request
		s := open(t, func(w http.ResponseWriter, r *http.Request) {
			got = r
			w.Header()["Set-Cookie"] = []string{gates, "own=1; HttpOnly", gates}
			io.WriteString(w, "the service")
		})
		response, body := s.ask("GET "+target+" HTTP/1.1", "Host: "+s.address, "Authorization: "+odd, "postern-authorization: Basic b3RoZXI6cGFpcg==",
			"Cookie: a=1;b=\"2\"", "Accept-Encoding: br")
		if response.StatusCode != http.StatusOK || body != "the service" || !slices.Equal(response.Header["Set-Cookie"], []string{"own=1; HttpOnly"}) {
			t.Errorf("%s: %s %v %q", target, response.Status, response.Header, body)
			continue
		}
		if got.RequestURI != target || got.Host != strings.TrimPrefix(s.endpoint.URL, "https://") || !slices.Equal(got.Header["Authorization"], []string{odd}) ||
			!slices.Equal(got.Header["Postern-Authorization"], []string{want}) || got.Header.Get("Cookie") != "a=1;b=\"2\"" || got.Header.Get("Accept-Encoding") != "br" {
			t.Errorf("%s: the endpoint got %s for %s with %v", target, got.RequestURI, got.Host, got.Header)
		}
	}
}

// Names that are not this machine's, and pages of other sites, are refused before anything
// is sent.
func TestGuard(t *testing.T) {
	var reached atomic.Int32
	s := open(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) },
		func(c *signin.Config) { c.Origins = []string{"https://Front.example.com/"} })
	_, port, _ := net.SplitHostPort(s.address)
	host := "Host: " + s.address
	for name, c := range map[string]struct {
		method string
		lines  []string
		passes bool
	}{
		"a program":                    {"POST", []string{host}, true},
		"localhost":                    {"GET", []string{"Host: LocalHost:" + port}, true},
		"IPv6":                         {"GET", []string{"Host: [::1]:" + port}, true},
		"another name":                 {"GET", []string{"Host: evil.example:" + port}, false},
		"another name at loopback":     {"GET", []string{"Host: localhost.evil.example"}, false},
		"another address":              {"GET", []string{"Host: 192.0.2.1"}, false},
		"no name":                      {"GET", []string{"Host: "}, false},
		"a proxy's request":            {"CONNECT", []string{host}, false},
		"a page of this machine":       {"POST", []string{host, "Origin: http://localhost:5173", "Sec-Fetch-Site: cross-site"}, true},
		"a page that was named":        {"OPTIONS", []string{host, "Origin: https://front.example.com"}, true},
		"the same by http":             {"GET", []string{host, "Origin: http://front.example.com"}, false},
		"another page":                 {"GET", []string{host, "Origin: https://evil.example"}, false},
		"another page's preflight":     {"OPTIONS", []string{host, "Origin: https://evil.example", "Access-Control-Request-Method: POST"}, false},
		"a page without origin":        {"GET", []string{host, "Origin: null"}, false},
		"two origins":                  {"GET", []string{host, "Origin: http://localhost", "Origin: https://evil.example"}, false},
		"another origin at loopback":   {"GET", []string{host, "Origin: http://localhost.evil.example"}, false},
		"another scheme":               {"GET", []string{host, "Origin: chrome-extension://localhost"}, false},
		"an image of another page":     {"GET", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, false},
		"a frame of another page":      {"GET", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, false},
		"a link of another page":       {"GET", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, true},
		"a form of another page":       {"POST", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, false},
		"an image of a page from here": {"GET", []string{host, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, true},
	} {
		before := reached.Load()
		target := "/"
		if c.method == http.MethodConnect {
			target = "localhost:22"
		}
		response, body := s.ask(append([]string{c.method + " " + target + " HTTP/1.1"}, c.lines...)...)
		if passed := response.StatusCode == http.StatusOK; passed != c.passes || passed != (reached.Load() > before) {
			t.Errorf("%s: %s %q", name, response.Status, body)
		}
	}
}

// Pages that may use the door are named as browsers write them.
func TestOriginThatIsNone(t *testing.T) {
	for _, text := range []string{"", "*", "front.example.com", "https://front.example.com/path", "https://"} {
		if _, err := signin.New(signin.Config{Origins: []string{text}, Transport: &http.Transport{}}); err == nil || !strings.Contains(err.Error(), "https://front.example.com") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A wrong password is told once, in words, and never by asking a person for another; a 401
// of the service stays one.
func TestWrongPassword(t *testing.T) {
	s := open(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.Header().Set("Access-Control-Allow-Origin", "http://localhost")
		if r.URL.Path != "/service" {
			w.Header().Set("Postern-Error-Code", "ERR_POSTERN_320")
		}
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "a page")
	})
	for i, c := range []struct {
		method, path string
		status       int
		warnings     int32
	}{
		{"GET", "/", 502, 1}, {"HEAD", "/", 502, 1}, {"GET", "/service", 401, 1}, {"GET", "/", 502, 2},
	} {
		response, body := s.ask(c.method+" "+c.path+" HTTP/1.1", "Host: "+s.address)
		told := strings.Contains(body, "does not take the name or the password") && response.Header.Get("WWW-Authenticate") == ""
		if response.StatusCode != c.status || told != (c.status == 502 && c.method == "GET") || s.warnings.Load() != c.warnings ||
			strings.Contains(body, "horse") || response.Header.Get("Access-Control-Allow-Origin") != "http://localhost" {
			t.Errorf("%d: %s %v %q, %d warnings", i, response.Status, response.Header, body, s.warnings.Load())
		}
	}
}

// An endpoint that nobody vouches for gets no password.
func TestUnknownAuthority(t *testing.T) {
	var reached atomic.Bool
	s := open(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) },
		func(c *signin.Config) { c.Transport = &http.Transport{TLSClientConfig: &tls.Config{}} })
	response, body := s.ask("GET / HTTP/1.1", "Host: "+s.address)
	if response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "certificate") || reached.Load() {
		t.Errorf("%s %q", response.Status, body)
	}
}

// A stream arrives while it is being sent, also against one that goes the other way.
func TestStream(t *testing.T) {
	s := open(t, func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		_ = controller.EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "heard", lines.Text())
			_ = controller.Flush()
		}
	})
	in, out := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address, in)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	go io.WriteString(out, "one\n") //nolint:errcheck // the answer judges
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answers := bufio.NewScanner(response.Body)
	for _, word := range []string{"one", "two"} {
		if word != "one" {
			io.WriteString(out, word+"\n")
		}
		if !answers.Scan() || answers.Text() != "heard "+word {
			t.Fatalf("%q after %q", answers.Text(), word)
		}
	}
	out.Close()
}

// A WebSocket passes both ways, and ends with the door.
func TestWebSocket(t *testing.T) {
	s := open(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	conn, _, err := websocket.Dial(ctx, "ws://"+s.address+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err = conn.Write(ctx, websocket.MessageText, []byte("framed")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := conn.Read(ctx); err != nil || string(message) != "framed" {
		t.Fatalf("%q, %v", message, err)
	}
	s.stop()
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the WebSocket outlives the door: %v", err)
	}
}
