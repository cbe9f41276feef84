package ngrok_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/ngrok"
	"github.com/postern-dev/postern/link/sessionmsg"
)

const token = "good-token"

// agent is a small agent of ngrok's protocol, for what no SDK would do.
type agent struct {
	t        *testing.T
	mux      *mux.Session
	admitted *linktest.Admitted
	served   chan error
}

// serve runs the server's end on conn.
func serve(t *testing.T, conn net.Conn, registrar link.Registrar) chan error {
	served := make(chan error, 1)
	go func() {
		served <- ngrok.Serve(t.Context(), conn, ngrok.Config{Registrar: registrar, Logger: testkit.Logger(t), ServerVersion: "test"})
	}()
	return served
}

// connect starts a session without authenticating.
func connect(t *testing.T, registrar link.Registrar, config mux.Config) *agent {
	t.Helper()
	near, far := testkit.Pipe()
	config.Client = true
	return &agent{t: t, served: serve(t, far, registrar), mux: mux.New(near, config)}
}

// join starts a session and authenticates with the user agent.
func join(t *testing.T, registrar *linktest.Registrar, userAgent string, config mux.Config) *agent {
	t.Helper()
	a := connect(t, registrar, config)
	hello := link.Hello{Token: token, Agent: postern.AgentInfo{UserAgent: userAgent}}
	var response sessionmsg.AuthResp
	a.call(sessionmsg.TypeAuth, sessionmsg.NewAuth(hello, nil), &response)
	if _, err := response.Welcome(); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.admitted, err = registrar.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *agent) call(streamType uint32, request, response any) {
	a.t.Helper()
	raw, err := sessionmsg.Encode(request)
	if err != nil {
		a.t.Fatal(err)
	}
	stream, err := a.mux.Open(a.t.Context(), streamType, raw)
	if err != nil {
		a.t.Fatal(err)
	}
	defer stream.Close()
	if err := sessionmsg.Read(stream, response); err != nil {
		a.t.Fatal(err)
	}
}

// Accept implements link.Acceptor.
func (a *agent) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	_, stream, err := a.mux.Accept(ctx)
	if err != nil {
		return link.Header{}, nil, err
	}
	header, err := sessionmsg.ReadProxyHeader(stream)
	return header, stream, err
}

func (a *agent) close() {
	a.mux.Close(nil)
	<-a.mux.Closed()
	<-a.served
}

func TestLink(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		a := join(t, linktest.NewRegistrar(token), "ngrok-go/2.1.1", mux.Config{})
		return a.admitted.Session, a, a.close
	})
}

// feed sends raw to a server and hangs up.
func feed(t *testing.T, raw []byte) {
	near, far := testkit.Pipe()
	registrar := linktest.NewRegistrar(token)
	served := make(chan error, 1)
	go func() {
		served <- ngrok.Serve(t.Context(), far, ngrok.Config{Registrar: registrar, Logger: slog.New(slog.DiscardHandler)})
	}()
	go func() { _, _ = io.Copy(io.Discard, near) }()
	_, _ = near.Write(raw)
	near.Close()
	if err := <-served; err == nil {
		t.Error("the session ended without a reason")
	}
}
