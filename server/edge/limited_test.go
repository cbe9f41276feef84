package edge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/quota"
)

// metered gives a member of an account and credential whose limits are these.
func metered(account, credential postern.Limits) func(*member) {
	meters := quota.New()
	meters.SetDefaults(quota.Defaults{Account: account, Credential: credential})
	return func(m *member) { m.meter = meters.Credential("ac_1", "cr_1") }
}

func answerOK(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

// refused checks that an answer is a limit's.
func refused(t *testing.T, r *http.Response, code postern.Code, retry string) {
	t.Helper()
	text := body(t, r)
	entry := code.Entry()
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != retry || r.Header.Get("Ngrok-Error-Code") != string(entry.Wire) ||
		entry.Wire != code && r.Header.Get("Postern-Error-Code") != string(code) || !strings.Contains(text, string(code)) {
		t.Errorf("got %d %v %s", r.StatusCode, r.Header, text)
	}
}

func TestRequestLimit(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			s := start(t)
			m := s.serve("https://app."+domain, s.upstream(answerOK), metered(postern.Limits{RequestsPerMinute: 3}, postern.Limits{}))
			s.serve("https://other."+domain, s.upstream(answerOK))
			client := s.client(protocol)
			for i := range 5 {
				r, err := client.Get("https://app." + domain)
				must(t, err)
				if i < 3 {
					if text := body(t, r); r.StatusCode != http.StatusOK || text != "fine" {
						t.Errorf("request %d: %d %q", i, r.StatusCode, text)
					}
					continue
				}
				refused(t, r, postern.CodeRequestLimit, "20")
			}
			r, err := client.Get("https://other." + domain)
			must(t, err)
			if body(t, r) != "fine" {
				t.Error("another account's endpoint is limited")
			}
			eventually(t, "nothing is under way", func() bool { return m.meter.Account().Usage().Connections == 0 })
			if u := m.meter.Account().Usage(); u.Total.Requests != 3 || u.Total.Refused != 2 || m.opened.Load() > 3 {
				t.Errorf("usage %+v, %d streams", u, m.opened.Load())
			}
			if u := m.meter.Usage(); u.Total.Requests != 3 || u.Total.BytesIn == 0 || u.Total.BytesOut == 0 || u.Connections != 0 {
				t.Errorf("the credential's usage %+v", u)
			}
		})
	}
}

// A pool's members may have different credentials: one at its limit leaves the request to
// the others.
func TestCredentialLimitInAPool(t *testing.T) {
	s := start(t)
	meters := quota.New()
	meters.SetDefaults(quota.Defaults{Credential: postern.Limits{RequestsPerMinute: 2}})
	addr := s.upstream(answerOK)
	a, b := newMember(addr), newMember(addr)
	a.meter, b.meter = meters.Credential("ac_1", "cr_a"), meters.Credential("ac_1", "cr_b")
	s.pool("https://app."+domain, a, b)
	client := s.client("http/1.1")
	for i := range 6 {
		r, err := client.Get("https://app." + domain)
		must(t, err)
		if i < 4 {
			if r.StatusCode != http.StatusOK {
				t.Errorf("request %d: %d", i, r.StatusCode)
			}
			_ = body(t, r)
			continue
		}
		refused(t, r, postern.CodeRequestLimit, "30")
	}
	if x, y := a.meter.Usage().Total.Requests, b.meter.Usage().Total.Requests; x != 2 || y != 2 {
		t.Errorf("%d and %d requests", x, y)
	}
	if a.bad.Load()+b.bad.Load() != 0 {
		t.Error("a limit counts as ill health")
	}
}

func TestConnectionLimitOfRequests(t *testing.T) {
	s := start(t)
	arrived, free := make(chan struct{}), make(chan struct{})
	m := s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-free
	}), metered(postern.Limits{}, postern.Limits{Connections: 1}))
	client := s.client("http/1.1")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		r, err := client.Get("https://app." + domain)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("the first: %v, %v", r, err)
			return
		}
		_ = body(t, r)
	})
	<-arrived
	r, err := client.Get("https://app." + domain)
	must(t, err)
	refused(t, r, postern.CodeConnectionLimit, "1")
	close(free)
	waiting.Wait()
	eventually(t, "the place is free again", func() bool { return m.meter.Usage().Connections == 0 })
	go func() { <-arrived }()
	r, err = client.Get("https://app." + domain)
	must(t, err)
	if r.StatusCode != http.StatusOK {
		t.Errorf("then: %d", r.StatusCode)
	}
	_ = body(t, r)
}

// An upgraded connection keeps its place until it ends, and its bytes count as they move.
func TestConnectionLimitOfUpgraded(t *testing.T) {
	s := start(t)
	m := s.serve("https://app."+domain, s.upstream(echoSocket), metered(postern.Limits{Connections: 1}, postern.Limits{}))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	options := &websocket.DialOptions{HTTPClient: s.client("http/1.1")}
	conn, _, err := websocket.Dial(ctx, "wss://app."+domain, options)
	must(t, err)
	must(t, conn.Write(ctx, websocket.MessageBinary, make([]byte, 10_000)))
	_, _, err = conn.Read(ctx)
	must(t, err)
	eventually(t, "it is counted while it is open", func() bool {
		u := m.meter.Usage()
		return u.Connections == 1 && u.Total.BytesIn > 10_000 && u.Total.BytesOut > 10_000
	})
	_, r, err := websocket.Dial(ctx, "wss://app."+domain, options)
	if err == nil || r == nil {
		t.Fatal("a second one was let through")
	}
	refused(t, r, postern.CodeConnectionLimit, "1")
	must(t, conn.Close(websocket.StatusNormalClosure, ""))
	eventually(t, "the place is free again", func() bool { return m.meter.Account().Usage().Connections == 0 })
}

func echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		_ = conn.Write(r.Context(), kind, message)
	}
}

func TestConnectionLimitOfTunnels(t *testing.T) {
	limits := metered(postern.Limits{Connections: 1}, postern.Limits{})
	var log lockedBuffer
	s := start(t, func(c *edge.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	upstream := rawUpstream(t, echo)
	addr, m := s.tcpPort(upstream, limits)
	s.serve("tls://own."+domain, upstream, limits)
	first := s.dial(addr)
	_, err := io.WriteString(first, "hello")
	must(t, err)
	_, err = io.ReadFull(first, make([]byte, 5))
	must(t, err)
	if err := ending(addr); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("tcp: a second one ended with %v", err)
	}
	second := s.dial(s.https)
	_, err = second.Write(helloFor("own." + domain))
	must(t, err)
	if _, err := io.ReadAll(second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("tls: a second one ended with %v", err)
	}
	if text := log.String(); !strings.Contains(text, "connection refused at a limit") || !strings.Contains(text, string(postern.CodeConnectionLimit)) {
		t.Errorf("the log: %s", text)
	}
	must(t, first.Close())
	eventually(t, "the place is free again", func() bool { return m.meter.Account().Usage().Connections == 0 })
	again := s.dial(addr)
	_, err = io.WriteString(again, "hello")
	must(t, err)
	_, err = io.ReadFull(again, make([]byte, 5))
	must(t, err)
	eventually(t, "all of it is counted", func() bool {
		u := m.meter.Account().Usage()
		return u.Total.Connections == 2 && u.Total.Refused == 2 && u.Total.BytesIn == 10 && u.Total.BytesOut == 10
	})
}

// helloFor is a ClientHello.
func helloFor(name string) []byte {
	near, far := net.Pipe()
	go func() { _ = tlsClient(near, name).Handshake() }()
	buffer := make([]byte, 16<<10)
	n, _ := far.Read(buffer)
	_ = far.Close()
	return buffer[:n]
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
