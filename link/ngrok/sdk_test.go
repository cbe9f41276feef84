package ngrok_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	sdk "golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/ngrok"
)

// host is a server for the real SDK on a loopback port.
type host struct {
	registrar *linktest.Registrar
	address   string
	roots     *x509.CertPool

	listener net.Listener
	end      context.CancelFunc
	sessions sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func startHost(t *testing.T) *host {
	t.Helper()
	certificate, roots := testkit.Certificate(t, "127.0.0.1") // the SDK sends no SNI when it dials an address
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	h := &host{registrar: linktest.NewRegistrar(token), address: listener.Addr().String(), roots: roots, listener: listener, end: end}
	h.sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, conn)
			h.mu.Unlock()
			secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
			h.sessions.Go(func() {
				_ = ngrok.Serve(ctx, secured, ngrok.Config{Registrar: h.registrar, Logger: testkit.Logger(t), ServerVersion: "test"})
			})
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *host) stop() {
	h.listener.Close()
	h.end()
	h.sessions.Wait()
}

// cut breaks every connection without a goodbye.
func (h *host) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conn := range h.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	h.conns = nil
}

// connect starts the SDK and waits until the server has admitted it.
func (h *host) connect(t *testing.T, options ...sdk.AgentOption) (sdk.Agent, *linktest.Admitted) {
	t.Helper()
	a := h.agent(t, append(options, sdk.WithAuthtoken(token))...)
	if err := a.Connect(t.Context()); err != nil { // its context is the session's
		t.Fatal(err)
	}
	admitted, err := h.registrar.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a, admitted
}

func (h *host) agent(t *testing.T, options ...sdk.AgentOption) sdk.Agent {
	t.Helper()
	options = append(options, sdk.WithAgentConnectURL(h.address), sdk.WithAgentConnectCAs(h.roots), sdk.WithLogger(testkit.Logger(t)))
	a, err := sdk.NewAgent(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Disconnect() })
	return a
}

func TestSDKConnects(t *testing.T) {
	h := startHost(t)
	a, admitted := h.connect(t, sdk.WithAgentMetadata("meta"), sdk.WithClientInfo("my-app", "1.2.3"))
	session, err := a.Session()
	if err != nil {
		t.Fatal(err)
	}
	details := session.(sdk.AgentSessionDetails)
	if session.ID() != string(admitted.Welcome.SessionID) || details.Region() != "test" || details.AccountName() != "tests" {
		t.Errorf("the SDK knows %q, %q, %q", session.ID(), details.Region(), details.AccountName())
	}
	hello := admitted.Hello
	if hello.Agent.Metadata != "meta" || hello.Agent.ClientType != "my-app" || hello.Agent.OS == "" || hello.Heartbeat != 10*time.Second {
		t.Errorf("the server knows %+v", hello)
	}
	if _, err := admitted.Session.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSDKDiagnosesWithoutAToken(t *testing.T) {
	h := startHost(t)
	result, err := h.agent(t).(sdk.Diagnoser).Diagnose(t.Context(), h.address)
	if err != nil || result.Region != "test" {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestSDKIsRefusedWithACode(t *testing.T) {
	h := startHost(t)
	refusals := make(chan error, 16)
	a := h.agent(t, sdk.WithAuthtoken("wrong"), sdk.WithEventHandler(func(e sdk.Event) {
		if lost, ok := e.(*sdk.EventAgentDisconnected); ok && lost.Error != nil {
			select {
			case refusals <- lost.Error:
			default:
			}
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	connected := make(chan error, 1)
	go func() { connected <- a.Connect(ctx) }()
	var coded sdk.Error
	var err error
	select {
	case err = <-refusals:
	case err = <-connected: // some versions give up at once
		connected <- err
	}
	if !asSDKError(err, &coded) || coded.Code() != string(postern.CodeTokenInvalid) {
		t.Errorf("the SDK reports %v", err)
	}
	cancel() // else it tries for ever
	<-connected
}

// asSDKError finds an error with a code in either of the SDK's shapes.
func asSDKError(err error, target *sdk.Error) bool {
	if errors.As(err, target) {
		return true
	}
	var older interface {
		error
		ErrorCode() string
	}
	if !errors.As(err, &older) {
		return false
	}
	*target = codedError{older}
	return true
}

type codedError struct {
	error interface {
		error
		ErrorCode() string
	}
}

func (e codedError) Error() string { return e.error.Error() }
func (e codedError) Code() string  { return e.error.ErrorCode() }

func TestSDKBinds(t *testing.T) {
	h := startHost(t)
	a, admitted := h.connect(t)
	tests := []struct {
		url  string
		want string // "" : assigned
	}{
		{"https://app.test", "https://app.test"},
		{"http://app.test", "http://app.test"},
		{"https://", ""},
		{"", ""},
		{"tcp://", ""},
		{"tcp://tcp.test:23456", "tcp://tcp.test:23456"},
		{"tls://tls.test", "tls://tls.test"},
		{"tls://", ""},
		{"https://bücher.test", "https://xn--bcher-kva.test"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			listener, err := a.Listen(t.Context(), sdk.WithURL(tt.url), sdk.WithName("n"), sdk.WithMetadata("m"), sdk.WithDescription("d"))
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			if got := listener.URL().String(); tt.want != "" && got != tt.want {
				t.Errorf("the SDK got %s, want %s", got, tt.want)
			}
			requests := admitted.Requests()
			if last := requests[len(requests)-1]; last.Name != "n" || last.Metadata != "m" || last.Description != "d" {
				t.Errorf("the server got %+v", last)
			}
			bound := admitted.Bound()
			if len(bound) != 1 || bound[0].PublicURL != listener.URL().String() || string(bound[0].EndpointID) != listener.TunnelID() {
				t.Errorf("online: %+v", bound)
			}
		})
	}
	if left := admitted.Bound(); len(left) != 0 {
		t.Errorf("closed, but online: %v", left)
	}
}

func TestSDKBindIsRefusedWithACode(t *testing.T) {
	h := startHost(t)
	a, _ := h.connect(t)
	other, _ := h.connect(t)
	listener, err := a.Listen(t.Context(), sdk.WithURL("https://taken.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tests := []struct {
		name    string
		options []sdk.EndpointOption
		code    string
	}{
		{"online", []sdk.EndpointOption{sdk.WithURL("https://taken.test")}, "ERR_NGROK_334"},
		{"a bad character", []sdk.EndpointOption{sdk.WithURL("https://under&score.test")}, "ERR_NGROK_326"},
		{"a path", []sdk.EndpointOption{sdk.WithURL("https://a.test/path")}, "ERR_NGROK_9037"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := other.Listen(t.Context(), tt.options...)
			var coded sdk.Error
			if !errors.As(err, &coded) || coded.Code() != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

func TestSDKForwards(t *testing.T) {
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host + r.URL.Path))
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = upstream.Serve(listener) })
	defer serving.Wait()
	defer upstream.Close()

	h := startHost(t)
	a, admitted := h.connect(t)
	forwarder, err := a.Forward(t.Context(), sdk.WithUpstream("http://"+listener.Addr().String()), sdk.WithURL("https://app.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer forwarder.Close()
	stream, err := admitted.Session.Open(t.Context(), link.Header{Endpoint: admitted.Bound()[0].ID, Scheme: postern.HTTPS},
		[]byte("GET /path HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	response, err := http.ReadResponse(bufio.NewReader(stream), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := make([]byte, 64)
	n, _ := response.Body.Read(body)
	if got := string(body[:n]); got != "app.test/path" {
		t.Errorf("got %q", got)
	}
}
