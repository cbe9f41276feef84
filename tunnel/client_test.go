package tunnel_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/relay/flow"
	"github.com/postern-dev/postern/tunnel"
)

// gateways is a server's link, real from TLS up to the sessions, whose gateways "stage"
// echo at every port.
type gateways struct {
	options   tunnel.Options
	registrar *linktest.Registrar
	listener  net.Listener

	mu       sync.Mutex
	sessions []*linktest.Admitted
}

func newGateways(t *testing.T) *gateways {
	t.Helper()
	certificate, roots := testkit.Certificate(t, "localhost")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, NextProtos: []string{native.ALPN}})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	g := &gateways{registrar: linktest.NewRegistrar("good-token"), listener: listener, options: tunnel.Options{
		Server: "localhost:" + port, Authtoken: "good-token", Roots: roots, Drain: time.Second, Logger: testkit.Logger(t)}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			serving.Go(func() {
				_ = conn.(*tls.Conn).HandshakeContext(ctx)
				_ = native.Serve(ctx, conn, native.Config{Registrar: g.registrar, Logger: testkit.Logger(t), Hub: new(native.Hub)})
			})
		}
	})
	serving.Go(func() {
		for a, err := g.registrar.Next(ctx); err == nil; a, err = g.registrar.Next(ctx) {
			a.Refuse(refuse)
			g.mu.Lock()
			g.sessions = append(g.sessions, a)
			g.mu.Unlock()
			serving.Go(func() {
				for j, err := a.NextJoined(ctx); err == nil; j, err = a.NextJoined(ctx) {
					serving.Go(func() { _, _ = io.Copy(j, j); _ = j.Close() })
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		cancel()
		serving.Wait()
	})
	return g
}

// soon bounds what should come about at once.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func refuse(p link.GatewayPort) error {
	switch {
	case p.Gateway != "stage":
		return postern.Errorf(postern.CodeGatewayUnknown, "no %s", p.Gateway)
	case p.Port == 1:
		return postern.Errorf(postern.CodeAccessDenied, "not port 1")
	}
	return nil
}

func (g *gateways) admitted() []*linktest.Admitted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions
}

func TestClient(t *testing.T) {
	g := newGateways(t)
	client, err := tunnel.NewClient(g.options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); <-client.Done() }()
	for range 3 {
		conn, err := client.Dial(soon(t), "stage", "tcp", 5432)
		if err != nil {
			t.Fatal(err)
		}
		if conn.RemoteAddr().String() != "stage:5432" || conn.RemoteAddr().Network() != "tcp" {
			t.Errorf("address %s %s", conn.RemoteAddr().Network(), conn.RemoteAddr())
		}
		_, _ = io.WriteString(conn, "hello")
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		_ = conn.Close()
	}
	if n := len(g.admitted()); n != 1 {
		t.Errorf("%d sessions for three connections", n)
	}
	for _, test := range []struct {
		gateway, network string
		port             uint16
		code             postern.Code
	}{
		{"stage", "tcp", 1, postern.CodeAccessDenied},
		{"other", "tcp", 5432, postern.CodeGatewayUnknown},
		{"stage", "unix", 5432, postern.CodeConfigInvalid},
		{"", "tcp", 5432, postern.CodeConfigInvalid},
		{"stage", "tcp", 0, postern.CodeConfigInvalid},
	} {
		if _, err := client.Dial(soon(t), test.gateway, test.network, test.port); !postern.HasCode(err, test.code) {
			t.Errorf("Dial %+v = %v", test, err)
		}
	}
	for _, bad := range []string{"stage", "stage:http", "stage:65536"} {
		if _, err := client.DialContext(soon(t), "tcp", bad); !postern.HasCode(err, postern.CodeConfigInvalid) {
			t.Errorf("DialContext %q = %v", bad, err)
		}
	}
}

// Datagrams keep their boundaries; deadlines and what is too long harm nobody.
func TestClientUDP(t *testing.T) {
	g := newGateways(t)
	conn, err := tunnel.Dial(soon(t), "stage", "udp", 53, g.options)
	if err != nil {
		t.Fatal(err)
	}
	packets := conn.(net.PacketConn)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	if _, err := conn.Write(make([]byte, flow.MaxDatagram+1)); !errors.Is(err, flow.ErrTooLong) {
		t.Errorf("Write of too much = %v", err)
	}
	if _, err := packets.WriteTo([]byte("x"), conn.LocalAddr()); !errors.Is(err, net.ErrWriteToConnected) {
		t.Errorf("WriteTo another = %v", err)
	}
	for _, size := range []int{5, 0, flow.MaxDatagram} {
		if n, err := packets.WriteTo(make([]byte, size), conn.RemoteAddr()); n != size || err != nil {
			t.Fatalf("WriteTo = %d, %v", n, err)
		}
	}
	buffer := make([]byte, flow.MaxDatagram)
	for _, size := range []int{5, 0, flow.MaxDatagram} {
		if n, from, err := packets.ReadFrom(buffer); n != size || from != conn.RemoteAddr() || err != nil {
			t.Errorf("ReadFrom = %d of %d, %v, %v", n, size, from, err)
		}
	}
	_, _ = conn.Write([]byte("long"))
	if n, err := conn.Read(buffer[:2]); n != 2 || err != nil {
		t.Errorf("Read of a part = %d, %v", n, err)
	}
	_ = conn.Close()
	_ = conn.Close()
	if _, err := conn.Read(buffer); err == nil {
		t.Error("Read after Close")
	}
	<-g.admitted()[0].Released() // the session ends with its connection
}

// Others make connections of a Client's.
func TestClientOfHTTP(t *testing.T) {
	g := newGateways(t)
	client, err := tunnel.NewClient(g.options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); <-client.Done() }()
	transport := &http.Transport{DialContext: client.DialContext}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(soon(t), http.MethodGet, "http://stage:8081/", nil)
	if err != nil {
		t.Fatal(err)
	}
	// The port echoes: a request is no response.
	if _, err := transport.RoundTrip(request); err == nil || postern.HasCode(err, postern.CodeGatewayUnknown) {
		t.Errorf("RoundTrip = %v", err)
	}
	request.URL.Host = "other:8081"
	if _, err := transport.RoundTrip(request); !postern.HasCode(err, postern.CodeGatewayUnknown) {
		t.Errorf("RoundTrip = %v", err)
	}
}

// A session that is lost is made anew, and the next Dial waits for that.
func TestClientReconnects(t *testing.T) {
	g := newGateways(t)
	client, err := tunnel.NewClient(g.options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(); <-client.Done() }()
	conn, err := client.Dial(soon(t), "stage", "tcp", 8081)
	if err != nil {
		t.Fatal(err)
	}
	g.admitted()[0].Session.Close(postern.Errorf(postern.CodeLinkLost, "cut"))
	if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("Read = %v", err)
	}
	_ = conn.Close()
	conn, err = client.Dial(soon(t), "stage", "tcp", 8081)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestClientRefusals(t *testing.T) {
	g := newGateways(t)
	wrong := g.options
	wrong.Authtoken = "2id_wrong"
	if _, err := tunnel.Dial(soon(t), "stage", "tcp", 8081, wrong); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("a wrong token: %v", err)
	}
	for _, variable := range []string{"POSTERN_CONNECT_URL", "POSTERN_CONNECT_CAS", "POSTERN_AUTHTOKEN", "NGROK_AUTHTOKEN"} {
		t.Setenv(variable, "")
	}
	if _, err := tunnel.NewClient(tunnel.Options{Server: "localhost:1"}); !postern.HasCode(err, postern.CodeNoToken) {
		t.Errorf("no token: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := tunnel.Dial(ctx, "stage", "tcp", 8081, tunnel.Options{Server: "127.0.0.1:1", Authtoken: "t"}); !postern.HasCode(err, postern.CodeServerUnreachable) {
		t.Errorf("no server: %v", err)
	}
}
