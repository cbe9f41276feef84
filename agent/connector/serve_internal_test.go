package connector

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

// target listens on loopback and answers each connection.
func target(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// echoAtEnd answers with all that was sent, once the sender has ended its direction.
func echoAtEnd(conn *net.TCPConn) {
	defer conn.Close()
	text, _ := io.ReadAll(conn)
	_, _ = conn.Write(text)
}

func portOf(t *testing.T, change func(*Remote), text string, rules ...string) *port {
	t.Helper()
	r := remotes(t, text)[0]
	if change != nil {
		change(&r)
	}
	set, err := allow.ParseTargets(rules)
	if err != nil {
		t.Fatal(err)
	}
	return newPort(r, set, testkit.Logger(t), func() {})
}

// through serves one consumer by the port and gives his end.
func through(t *testing.T, p *port, h link.Header) *fakeStream {
	t.Helper()
	near, far := newFakeStream()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go p.serve(ctx, h, far, nil, func() { close(done) })
	t.Cleanup(func() {
		near.Close()
		cancel()
		<-done
	})
	return near
}

// A consumer who ends his direction still gets the answer.
func TestHalfClose(t *testing.T) {
	p := portOf(t, nil, "R:8081:"+target(t, echoAtEnd))
	consumer := through(t, p, link.Header{})
	fmt.Fprint(consumer, "a question")
	if err := consumer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(consumer); err != nil || string(got) != "a question" {
		t.Errorf("%q, %v", got, err)
	}
	if s := p.status(); s.Total != 1 || s.Received != 10 || s.Sent != 10 || s.Failed+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTargetDown(t *testing.T) {
	free := ports.Address(t)
	p := portOf(t, nil, "R:8081:"+free)
	why := through(t, p, link.Header{}).refusal()
	if why == nil || why.Code != postern.CodeUpstreamUnreachable || strings.Contains(why.Text(), free) {
		t.Errorf("the consumer is told %v", why)
	}
	if s := p.status(); s.Failed != 1 || !strings.Contains(s.Latest, "refused") {
		t.Errorf("%+v", s)
	}
	// It is told once, until it was reached again.
	log := new(journal)
	p = portOf(t, nil, "R:8081:"+free)
	p.log = slog.New(NewClassic(log, slog.LevelInfo))
	for range 3 {
		through(t, p, link.Header{}).refusal()
	}
	listener, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	consumer := through(t, p, link.Header{})
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, _ = io.Copy(io.Discard, consumer) // until the port is done with it
	if lines := log.lines(); len(lines) != 2 || !strings.Contains(lines[0], "cannot be reached") || !strings.Contains(lines[1], "reached again") {
		t.Errorf("%q", lines)
	}
}

// The address that a name has when it is dialled is what counts.
func TestRulesAtDial(t *testing.T) {
	addr := target(t, echoAtEnd)
	_, number, _ := net.SplitHostPort(addr)
	for rules, allowed := range map[string]bool{
		"127.0.0.0/8:*": true, "10.0.0.0/8:*": false, "app.localhost:" + number: true, "[::1]:*": false,
	} {
		p := portOf(t, nil, "R:8081:app.localhost:"+number, rules)
		consumer := through(t, p, link.Header{})
		fmt.Fprint(consumer, "hello")
		_ = consumer.CloseWrite() // of one that was refused it fails
		got, err := io.ReadAll(consumer)
		if allowed && (err != nil || string(got) != "hello") {
			t.Errorf("%s: %q, %v", rules, got, err)
		}
		if !allowed && (len(got) > 0 || consumer.shared.why == nil || consumer.shared.why.Code != postern.CodeTargetRefused || p.refused.Load() != 1) {
			t.Errorf("%s: %q, %v, %v", rules, got, err, consumer.shared.why)
		}
	}
	// The remote's own rules have to let it pass too.
	p := portOf(t, func(r *Remote) { r.Allow, _ = allow.ParseTargets([]string{"10.0.0.0/8:*"}) }, "R:8081:app.localhost:"+number, "127.0.0.0/8:*")
	if why := through(t, p, link.Header{}).refusal(); why == nil || why.Code != postern.CodeTargetRefused {
		t.Errorf("the remote's own rules: %v", why)
	}
}

// The target learns who the consumer is, in front of what he sends.
func TestProxyHeader(t *testing.T) {
	got := make(chan string, 1)
	addr := target(t, func(conn *net.TCPConn) {
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		got <- line
	})
	p := portOf(t, func(r *Remote) { r.ProxyProtocol = 1 }, "R:8081:"+addr)
	through(t, p, link.Header{ClientAddr: netip.MustParseAddrPort("192.0.2.7:50000")})
	if line := <-got; !strings.HasPrefix(line, "PROXY TCP4 192.0.2.7 127.0.0.1 50000 ") {
		t.Errorf("the target reads %q", line)
	}
	through(t, p, link.Header{})
	if line := <-got; line != "PROXY UNKNOWN\r\n" {
		t.Errorf("without an address the target reads %q", line)
	}
}

// A flow of datagrams keeps their boundaries, empty ones too, both ways.
func TestDatagrams(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(append([]byte("re:"), buffer[:n]...), from)
		}
	}()
	defer func() {
		socket.Close()
		<-done
	}()
	p := portOf(t, nil, "R:53:"+socket.LocalAddr().String()+"/udp")
	consumer := through(t, p, link.Header{})
	writer, reader := flow.NewWriter(consumer), flow.NewReader(consumer)
	for _, text := range []string{"one", "", strings.Repeat("x", 9000)} {
		if _, err := writer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := reader.Next()
		if err != nil || string(got) != "re:"+text {
			t.Fatalf("%.20q, %v", got, err)
		}
	}
	reader.Release()
}

// A target that fails twice is out of service until it is well again, and then nobody is
// sent there.
func TestChecks(t *testing.T) {
	answers := make(chan int)
	asked := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.WriteHeader(<-answers)
	}))
	defer server.Close()
	looks := make(chan struct{}, 16)
	r := remotes(t, "R:8081:"+strings.TrimPrefix(server.URL, "http://"))[0]
	r.Check = &Check{HTTP: "/healthz", Interval: time.Millisecond, Timeout: 5 * time.Second}
	p := newPort(r, nil, testkit.Logger(t), func() { looks <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.watch(ctx)
	}()
	for _, status := range []int{200, 503, 204} { // once is chance
		answers <- status
		if path := <-asked; path != "/healthz" {
			t.Errorf("GET %s", path)
		}
	}
	answers <- 500
	answers <- 404
	<-looks
	if !p.unwell.Load() || p.wanted() || !strings.Contains(p.status().Latest, "404") {
		t.Errorf("%+v", p.status())
	}
	if why := through(t, p, link.Header{}).refusal(); why == nil || why.Code != postern.CodeUpstreamUnreachable {
		t.Errorf("a consumer is told %v", why)
	}
	answers <- 302
	<-looks
	if p.unwell.Load() || !p.wanted() {
		t.Error("it is not well again")
	}
	cancel()
	close(answers)
	<-done
}

// A check that only connects.
func TestCheckByTCP(t *testing.T) {
	p := portOf(t, nil, "R:8081:"+target(t, func(conn *net.TCPConn) { conn.Close() }))
	check := Check{Timeout: 5 * time.Second}
	if err := check.try(t.Context(), &p.dialer, p.Target()); err != nil {
		t.Error(err)
	}
	if err := check.try(t.Context(), &p.dialer, "127.0.0.1:1"); err == nil {
		t.Error("nobody listens, and it is well")
	}
}
