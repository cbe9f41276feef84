package native_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

const token = "good-token"

var hello = link.Hello{Token: token, Agent: postern.AgentInfo{ClientType: "postern", Version: "1", OS: "linux"}}

// ends is both ends of a session.
type ends struct {
	client    *native.Client
	welcome   link.Welcome
	admitted  *linktest.Admitted
	registrar *linktest.Registrar
	served    chan error
}

// serve runs the server's end on conn.
func serve(t *testing.T, conn net.Conn, registrar link.Registrar) chan error {
	served := make(chan error, 1)
	go func() {
		served <- native.Serve(t.Context(), conn, native.Config{Registrar: registrar, Logger: testkit.Logger(t), ServerVersion: "test"})
	}()
	return served
}

// join connects both ends in memory.
func join(t *testing.T, registrar *linktest.Registrar, config native.ClientConfig) *ends {
	t.Helper()
	near, far := testkit.Pipe()
	return joinOver(t, near, far, registrar, config)
}

func joinOver(t *testing.T, near, far net.Conn, registrar *linktest.Registrar, config native.ClientConfig) *ends {
	t.Helper()
	e := &ends{registrar: registrar, served: serve(t, far, registrar)}
	config.Logger = testkit.Logger(t)
	if config.Hello.Token == "" {
		config.Hello = hello
	}
	var err error
	if e.client, e.welcome, err = native.Connect(t.Context(), near, config); err != nil {
		t.Fatal(err)
	}
	if e.admitted, err = registrar.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *ends) close() {
	e.client.Close(nil)
	<-e.client.Closed()
	<-e.served
}

// accept loops in the background, as an agent does, and echoes.
func (e *ends) accept(t *testing.T) {
	go func() {
		for {
			_, stream, err := e.client.Accept(t.Context())
			if err != nil {
				return
			}
			go echo(stream)
		}
	}()
}

func echo(stream link.Stream) {
	defer stream.Close()
	_, _ = io.Copy(stream, stream)
}

func TestLink(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
		return e.admitted.Session, e.client, e.close
	})
}

func TestWelcome(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	if e.welcome != e.admitted.Welcome {
		t.Errorf("the agent heard %+v, the server said %+v", e.welcome, e.admitted.Welcome)
	}
	if got := e.admitted.Session.Transport(); got != "postern/1" {
		t.Errorf("transport %q", got)
	}
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		served := serve(t, far, linktest.NewRegistrar(token))
		_, _, err := native.Connect(t.Context(), near, native.ClientConfig{Hello: link.Hello{Token: "wrong"}, Logger: testkit.Logger(t)})
		if !postern.HasCode(err, postern.CodeTokenInvalid) {
			t.Errorf("got %v", err)
		}
		<-served
	})
}

func TestConnectEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe() // nobody answers
		defer far.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := native.Connect(ctx, near, native.ClientConfig{Hello: hello, Logger: testkit.Logger(t)})
		if !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestBindRequestArrivesWhole(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	tests := []link.BindRequest{
		{URL: postern.URLRequest{Scheme: postern.HTTPS}},
		{ID: "bind-x", Token: "tok", URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "a.test", Port: 8443}, Name: "n", Description: "d",
			Metadata: "m", ForwardsTo: "http://localhost:1", Bindings: []string{"public"}, Pooling: true,
			Options: postern.EndpointOptions{HostHeader: "inner.test:80", ProxyProtocol: 2, UpstreamProtocol: postern.HTTP2}},
		{URL: postern.URLRequest{Scheme: postern.HTTP}, Subdomain: "mine"},
		{URL: postern.URLRequest{Scheme: postern.TCP, Port: 2222}},
		{URL: postern.URLRequest{Scheme: postern.TCP, IP: netip.IPv6Loopback(), Port: 2223}},
		{URL: postern.URLRequest{Scheme: postern.TLS, Host: "*.t.test"}, Options: postern.EndpointOptions{Termination: postern.AtEdge}},
	}
	for i, want := range tests {
		bound, err := e.client.Bind(t.Context(), want)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		got := e.admitted.Requests()[i]
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%d (-sent +got):\n%s", i, diff)
		}
		if owner := e.registrar.Owner(bound.URL); owner != e.admitted {
			t.Errorf("%d: %+v has no owner", i, bound)
		}
		if bound.ID == "" || bound.EndpointID == "" || bound.Token == "" || bound.PublicURL == "" {
			t.Errorf("%d: bound %+v", i, bound)
		}
	}
}

func TestBindRefused(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	other := join(t, e.registrar, native.ClientConfig{})
	defer other.close()
	request := link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "a.test"}}
	if _, err := e.client.Bind(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*link.BindRequest)
		code   postern.Code
	}{
		{"online elsewhere", func(*link.BindRequest) {}, postern.CodeAlreadyOnline},
		{"a host header with a line break", func(r *link.BindRequest) { r.Options.HostHeader = "a\r\nb: c" }, postern.CodeBindInvalid},
		{"PROXY protocol 7", func(r *link.BindRequest) { r.Options.ProxyProtocol = 7 }, postern.CodeBindInvalid},
		{"an unknown termination", func(r *link.BindRequest) { r.Options.Termination = "moon" }, postern.CodeBindInvalid},
		{"a key without a certificate", func(r *link.BindRequest) { r.Options.KeyPEM = "x" }, postern.CodeBindInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := request
			tt.change(&changed)
			if _, err := other.client.Bind(t.Context(), changed); !postern.HasCode(err, tt.code) {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

func TestUnbind(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	bound, err := e.client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.client.Unbind(t.Context(), bound.ID); err != nil {
			t.Error(err)
		}
	}
	if e.registrar.Owner(bound.URL) != nil {
		t.Error("still online")
	}
}

func TestResumeKeepsNames(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	e := join(t, registrar, native.ClientConfig{})
	bound, err := e.client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}})
	if err != nil {
		t.Fatal(err)
	}
	// The old connection is half open: the server has not noticed its end.
	again := hello
	again.ClientID, again.Cookie = e.welcome.ClientID, e.welcome.Cookie
	back := join(t, registrar, native.ClientConfig{Hello: again})
	defer back.close()
	<-e.served
	if back.welcome.ClientID != e.welcome.ClientID {
		t.Errorf("client id %q became %q", e.welcome.ClientID, back.welcome.ClientID)
	}
	rebound, err := back.client.Bind(t.Context(), link.BindRequest{ID: bound.ID, Token: bound.Token, URL: postern.URLRequest{Scheme: postern.HTTPS}})
	if err != nil {
		t.Fatal(err)
	}
	if rebound.ID != bound.ID || rebound.URL != bound.URL {
		t.Errorf("%+v became %+v", bound, rebound)
	}
	<-e.client.Done()
	<-e.client.Closed()
}

func TestCommandsReachTheAgent(t *testing.T) {
	got := make(chan link.Command, 1)
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{
		Commands: func(_ context.Context, c link.Command) error {
			got <- c
			if c.Action == link.Restart {
				return errors.New("a supervisor is needed")
			}
			return nil
		},
	})
	defer e.close()
	e.accept(t)
	update := link.Command{Action: link.Update, Version: "2", PermitMajor: true}
	for _, c := range []link.Command{{Action: link.Stop}, update} {
		if err := e.admitted.Session.Command(t.Context(), c); err != nil {
			t.Error(err)
		}
		if heard := <-got; heard != c {
			t.Errorf("sent %+v, heard %+v", c, heard)
		}
	}
	err := e.admitted.Session.Command(t.Context(), link.Command{Action: link.Restart})
	if !postern.HasCode(err, postern.CodeCommandFailed) || postern.AsError(err).Message != "a supervisor is needed" {
		t.Errorf("got %v", err)
	}
}

func TestCommandsWithoutAHandler(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	e.accept(t)
	if err := e.admitted.Session.Command(t.Context(), link.Command{Action: link.Stop}); !postern.HasCode(err, postern.CodeCommandFailed) {
		t.Errorf("got %v", err)
	}
}

func TestACommandThatPanicsEndsNothingElse(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{Commands: func(context.Context, link.Command) error { panic("a bug") }})
	defer e.close()
	e.accept(t)
	if err := e.admitted.Session.Command(t.Context(), link.Command{Action: link.Stop}); !postern.HasCode(err, postern.CodeCommandUnanswered) {
		t.Errorf("got %v", err)
	}
	if _, err := e.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEndpointStopped(t *testing.T) {
	type notice struct {
		id  string
		why *postern.Error
	}
	heard := make(chan notice, 1)
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{
		OnEndpointStopped: func(id string, why *postern.Error) { heard <- notice{id, why} },
	})
	defer e.close()
	e.accept(t)
	if err := e.admitted.Session.StopEndpoint(t.Context(), "bind-1", postern.Errorf(postern.CodeNameReserved, "taken back")); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got.id != "bind-1" || got.why.Code != postern.CodeNameReserved || got.why.Message != "taken back" {
		t.Errorf("got %+v", got)
	}
}

func TestDrain(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	e.accept(t)
	stream, err := e.admitted.Session.Open(t.Context(), link.Header{Endpoint: "e", Scheme: postern.TCP}, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	select {
	case <-e.client.Draining():
		t.Fatal("drains already")
	default:
	}
	e.admitted.Session.Drain()
	<-e.client.Draining()
	if _, err := e.admitted.Session.Open(t.Context(), link.Header{Endpoint: "e", Scheme: postern.TCP}, nil); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("got %v", err)
	}
	// What is open lives on.
	if _, err := stream.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	both := make([]byte, 2)
	if _, err := io.ReadFull(stream, both); err != nil || string(both) != "ab" {
		t.Errorf("got %q, %v", both, err)
	}
}

func TestUpstreamFailureArrivesAsItsCode(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	stream, err := e.admitted.Session.Open(t.Context(), link.Header{Endpoint: "e", Scheme: postern.HTTPS}, []byte("GET / HTTP/1.1\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	_, accepted, err := e.client.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accepted.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "connection refused"))
	if _, err := stream.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeUpstreamUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestCloseTellsWhy(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	e.admitted.Session.Close(postern.Errorf(postern.CodeCredentialRevoked, "revoked by an operator"))
	<-e.client.Done()
	<-e.client.Closed()
	if cause := e.client.Cause(); cause.Code != postern.CodeCredentialRevoked {
		t.Errorf("the agent heard %v", cause)
	}
	if err := <-e.served; !postern.HasCode(err, postern.CodeCredentialRevoked) {
		t.Errorf("served: %v", err)
	}
	<-e.admitted.Released()
}

func TestADeadServerIsNoticed(t *testing.T) {
	// D13: dead after 20 s without an answer.
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		fault := testkit.Fault(near)
		e := joinOver(t, fault, far, linktest.NewRegistrar(token), native.ClientConfig{})
		start := time.Now()
		fault.Stall(testkit.Reads)
		<-e.client.Done()
		if took := time.Since(start); took > 35*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if !postern.HasCode(e.client.Cause(), postern.CodeLinkLost) {
			t.Errorf("cause %v", e.client.Cause())
		}
		fault.Cut()
		<-e.served
		<-e.client.Closed()
	})
}

func TestOverTLS(t *testing.T) {
	near, far := testkit.Pipe()
	client, server := testkit.TLSPair(t, near, far, native.ALPN)
	e := joinOver(t, client, server, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	e.accept(t)
	stream, err := e.admitted.Session.Open(t.Context(), link.Header{Endpoint: "e", Scheme: postern.TCP}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB, beyond the first window
	go func() {
		_, _ = stream.Write(payload)
		_ = stream.CloseWrite()
	}()
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(payload), err)
	}
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	near, far := testkit.Pipe()
	client, server := testkit.TLSPair(t, near, far, "h2")
	defer client.Close()
	err := native.Serve(t.Context(), server, native.Config{Registrar: linktest.NewRegistrar(token), Logger: testkit.Logger(t)})
	if !postern.HasCode(err, postern.CodeProtocolViolation) {
		t.Errorf("got %v", err)
	}
	if _, _, err := native.Connect(t.Context(), client, native.ClientConfig{Logger: testkit.Logger(t)}); !postern.HasCode(err, postern.CodeProtocolViolation) {
		t.Errorf("got %v", err)
	}
}
