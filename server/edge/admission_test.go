package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/edge"
)

// B5-11: caps answer 429 or close, and give places back.
func TestCapPerAddress(t *testing.T) {
	s := start(t, func(c *config) { c.Limits.ConnectionsPerAddress = 2 })
	s.serve("http://app."+domain, s.upstream(func(http.ResponseWriter, *http.Request) {}))
	request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
	first, second := s.dial(s.http), s.dial(s.https)
	_, err := io.WriteString(first, request)
	must(t, err)
	_, err = http.ReadResponse(bufio.NewReader(first), nil)
	must(t, err)
	_ = second
	eventually(t, "the third is refused", func() bool { return s.raw(request).StatusCode == 429 })
	response := s.raw(request)
	if text := body(t, response); response.StatusCode != 429 || response.Header.Get("Postern-Error-Code") != "ERR_POSTERN_304" || !strings.Contains(text, "ERR_POSTERN_304") {
		t.Errorf("got %d %q", response.StatusCode, text)
	}
	if conn, err := net.Dial("tcp", s.https); err == nil { // no words before TLS
		_ = conn.SetDeadline(time.Now().Add(patience))
		if all, _ := io.ReadAll(conn); len(all) > 0 {
			t.Errorf("the TLS port said %q", all)
		}
		conn.Close()
	}
	first.Close()
	second.Close()
	eventually(t, "places are free again", func() bool { return s.raw(request).StatusCode == 200 })
}

func TestCapOnAll(t *testing.T) {
	s := start(t, func(c *config) { c.Limits.Connections = 1 })
	held := s.dial(s.https)
	eventually(t, "the second is refused", func() bool {
		conn, err := net.Dial("tcp", s.http)
		must(t, err)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	})
	held.Close()
}

// B2 "slowloris": who says nothing, or half of it, is cut at the deadline of the
// phase it is in. B3 "every early branch keeps the deadline".
func TestSilentVisitorsAreCut(t *testing.T) {
	s := start(t, func(c *config) {
		c.Timeouts = edge.Timeouts{Handshake: 50 * time.Millisecond, RequestHeader: 50 * time.Millisecond, Idle: 50 * time.Millisecond}
	})
	secured := func(name string, protocols ...string) net.Conn {
		conn := s.dial(s.https)
		// Where this machine is too slow for the handshake, that is what is cut.
		_ = tls.Client(conn, &tls.Config{RootCAs: s.roots, ServerName: name, NextProtos: protocols, InsecureSkipVerify: name == ""}).Handshake()
		return conn
	}
	s.serve("http://app."+domain, s.upstream(func(http.ResponseWriter, *http.Request) {}))
	s.serve("tls://edge."+domain, "127.0.0.1:1", func(m *member) { m.options.Termination = "edge" })
	for name, open := range map[string]func() net.Conn{
		"TLS port, nothing":  func() net.Conn { return s.dial(s.https) },
		"TLS port, a byte":   func() net.Conn { return say(t, s.dial(s.https), "\x16") },
		"TLS port, half":     func() net.Conn { return say(t, s.dial(s.https), "\x16\x03\x01\x01\x00\x01") },
		"TLS port, a letter": func() net.Conn { return say(t, s.dial(s.https), "G") },
		"agents, nothing":    func() net.Conn { return s.dial(s.agent) },
		"HTTP, nothing":      func() net.Conn { return s.dial(s.http) },
		"HTTP, half a head":  func() net.Conn { return say(t, s.dial(s.http), "GET / HTTP/1.1\r\nHost:") },
		"TLS, no request":    func() net.Conn { return secured("app."+domain, "http/1.1") },
		"TLS, neither name":  func() net.Conn { return secured("") },
		"HTTP, kept": func() net.Conn {
			return say(t, s.dial(s.http), "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := open()
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it was not cut")
			}
		})
	}
}

func say(t *testing.T, conn net.Conn, text string) net.Conn {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
	return conn
}

// B2 "slowloris", body: a body that stops is answered with 408, and the service's
// request is cancelled.
func TestStoppedBodyIsCut(t *testing.T) {
	s := start(t, func(c *config) { c.Timeouts.Transfer = 50 * time.Millisecond })
	ended := make(chan error, 4)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	conn := s.dialTLS("app."+domain, "http/1.1")
	say(t, conn, "POST / HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 100\r\n\r\nhalf")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if response.StatusCode != 408 || response.Header.Get("Postern-Error-Code") != "ERR_POSTERN_307" || !response.Close {
		t.Errorf("got %d %v", response.StatusCode, response.Header)
	}
	if err := <-ended; err == nil {
		t.Error("the service believes that it got everything")
	}
	reader, writer := io.Pipe()
	defer writer.Close()
	request, err := http.NewRequest(http.MethodPost, "https://app."+domain, reader)
	must(t, err)
	request.ContentLength = 100
	go writer.Write([]byte("half"))
	second, err := s.client("h2").Do(request)
	must(t, err)
	if second.StatusCode != 408 {
		t.Errorf("HTTP/2: %d", second.StatusCode)
	}
	second.Body.Close()
	if err := <-ended; err == nil {
		t.Error("HTTP/2: the service believes that it got everything")
	}
}

// B5-10: a visitor who does not read is cut, over both versions of HTTP, and the
// service is told.
func TestReaderWhoStopsIsCut(t *testing.T) {
	s := start(t, func(c *config) { c.Timeouts.Transfer = 100 * time.Millisecond })
	ended := make(chan error, 2)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
		ended <- err
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		response, err := s.client(protocol).Get("https://app." + domain)
		must(t, err)
		if err := <-ended; err == nil {
			t.Errorf("%s: all was sent", protocol)
		}
		response.Body.Close()
	}
}

// Quiet connections are not idle transfers: what waits for events lives on.
func TestQuietStreamsLive(t *testing.T) {
	s := start(t, func(c *config) {
		c.Timeouts = edge.Timeouts{Handshake: time.Second, RequestHeader: time.Second, Idle: 40 * time.Millisecond, Transfer: 40 * time.Millisecond}
	})
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w).Flush
		_ = flush()
		<-time.After(1100 * time.Millisecond) // longer than any of them
		_, _ = io.WriteString(w, "late")
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		if _, got := get(t, s.client(protocol), "https://app."+domain); got != "late" {
			t.Errorf("%s: %q", protocol, got)
		}
	}
	addr, _ := s.tcpPort(rawUpstream(t, func(conn *net.TCPConn) {
		<-time.After(1100 * time.Millisecond) // longer than any of them
		_, _ = io.WriteString(conn, "late")
	}))
	all, err := io.ReadAll(s.dial(addr))
	if err != nil || string(all) != "late" {
		t.Errorf("TCP: %q %v", all, err)
	}
}

// PROXY protocol in front: the header is required, believed from trusted peers only,
// and names the visitor that is counted and forwarded.
func TestProxyProtocolInFront(t *testing.T) {
	front := func(c *config) {
		c.ProxyProtocol = edge.ProxyListeners{HTTPS: true, HTTP: true, Agents: true, Ports: true}
	}
	s := start(t, front, func(c *config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} },
		func(c *config) { c.Limits.ConnectionsPerAddress = 1 })
	m := s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("X-Forwarded-Proto"))
	}))
	request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
	conn := s.dial(s.http)
	say(t, conn, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"+request)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if got := body(t, response); got != "192.0.2.7 http" {
		t.Errorf("got %q", got)
	}
	if got := m.header(0).ClientAddr.String(); got != "192.0.2.7:4711" {
		t.Errorf("client %s", got)
	}
	if all, _ := io.ReadAll(say(t, s.dial(s.http), request)); len(all) > 0 {
		t.Errorf("without a header: %q", all)
	}
	again := say(t, s.dial(s.http), "PROXY TCP4 192.0.2.7 192.0.2.1 4712 80\r\n"+request)
	if all, _ := io.ReadAll(again); len(all) > 0 {
		t.Errorf("the second connection of one visitor: %q", all)
	}
	other := say(t, s.dial(s.http), "PROXY TCP4 192.0.2.8 192.0.2.1 4712 80\r\n"+request)
	if _, err := http.ReadResponse(bufio.NewReader(other), nil); err != nil {
		t.Errorf("another visitor: %v", err)
	}
	addr, tcp := s.tcpPort(rawUpstream(t, echo))
	through := say(t, s.dial(addr), "PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\nearly").(*net.TCPConn)
	must(t, through.CloseWrite())
	if all, err := io.ReadAll(through); string(all) != "early" {
		t.Errorf("TCP: %q %v", all, err)
	}
	if got := tcp.header(0).ClientAddr.String(); got != "192.0.2.9:4711" {
		t.Errorf("TCP client %s", got)
	}

	strangers := start(t, front)
	if all, _ := io.ReadAll(say(t, strangers.dial(strangers.http), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"+request)); len(all) > 0 {
		t.Errorf("an untrusted peer was believed: %q", all)
	}
}

// B5-25: with no descriptors left the accept loop neither spins nor exits.
func TestAcceptSurvivesExhaustion(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(http.ResponseWriter, *http.Request) {}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	poor := &exhausted{TCPListener: ln.(*net.TCPListener)}
	poor.left.Store(8) // each failure costs two: the spare descriptor is tried
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.edge.ServeHTTP(ctx, poor); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	began := time.Now()
	s.http = ln.Addr().String()
	response := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n")
	if response.StatusCode != 200 {
		t.Errorf("afterwards: %d", response.StatusCode)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("the failures took %s: it spins", took)
	}
	cancel()
	serving.Wait()
}

// exhausted fails as if the process had no descriptors left, a few times.
type exhausted struct {
	*net.TCPListener
	left atomic.Int64
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.TCPListener.Accept()
}
