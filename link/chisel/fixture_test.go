package chisel_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/link/linktest"
)

const token = "good-token"

// testKey is made once: keys are slow.
var testKey = sync.OnceValue(func() ssh.Signer {
	text, err := chisel.NewHostKey()
	if err != nil {
		panic(err)
	}
	signer, err := chisel.ParseHostKey(text)
	if err != nil {
		panic(err)
	}
	return signer
})

// host is a gateway's end over HTTP, as small as it gets.
type host struct {
	t         testing.TB
	registrar link.Registrar
	address   string
	served    chan error // what Serve returned, for each connector

	server *http.Server
	open   sync.WaitGroup
	cancel context.CancelFunc
}

func serve(t testing.TB, registrar link.Registrar) *host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{t: t, registrar: registrar, address: listener.Addr().String(), served: make(chan error, 1024), cancel: cancel}
	h.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handle(ctx, w, r) })}
	h.open.Go(func() { _ = h.server.Serve(listener) })
	t.Cleanup(h.close)
	return h
}

func (h *host) handle(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if !chisel.Asked(r) {
		http.NotFound(w, r)
		return
	}
	conn, err := chisel.Accept(w, r, nil, netip.Addr{})
	if err != nil {
		if postern.HasCode(err, postern.CodeRequestInvalid) {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		return
	}
	hello := chisel.HelloOf(r)
	h.open.Go(func() { h.run(ctx, conn, hello) })
}

func (h *host) run(ctx context.Context, conn *chisel.Conn, hello link.Hello) {
	err := chisel.Serve(ctx, conn, chisel.Config{Registrar: h.registrar, Logger: testkit.Logger(h.t), HostKey: testKey(), Hello: hello})
	select {
	case h.served <- err:
	default:
	}
}

func (h *host) close() {
	h.cancel()
	_ = h.server.Close()
	h.open.Wait()
}

// remote reads a remote, which is right.
func remote(t testing.TB, text string) chisel.Remote {
	t.Helper()
	r, err := chisel.ParseRemote(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// connect makes a session with our own client. The remotes' names are their texts.
func (h *host) connect(t testing.TB, change func(*chisel.ClientConfig), remotes ...string) (*chisel.Client, error) {
	t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	config := chisel.ClientConfig{
		Host: h.address, Path: "/sg_1?id=123456789&ports=8081", UserAgent: "CloudConnector/2.0.11",
		Header: http.Header{"Token": {token}}, Version: "0.0.0-src", Logger: testkit.Logger(t),
	}
	for _, text := range remotes {
		config.Remotes = append(config.Remotes, chisel.Offer{Endpoint: text, Remote: remote(t, text)})
	}
	if change != nil {
		change(&config)
	}
	return chisel.Dial(t.Context(), conn, config)
}

// session is both ends of one session.
type session struct {
	*host
	registrar *linktest.Registrar
	client    *chisel.Client
	admitted  *linktest.Admitted
}

func join(t testing.TB, remotes ...string) *session {
	t.Helper()
	registrar := linktest.NewRegistrar(token)
	s := &session{host: serve(t, registrar), registrar: registrar}
	var err error
	if s.client, err = s.connect(t, nil, remotes...); err != nil {
		t.Fatal(err)
	}
	if s.admitted, err = registrar.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) end() {
	s.client.Close(nil)
	<-s.client.Done()
	s.close()
}

// header is that of a visitor of the i-th remote.
func (s *session) header(i int) link.Header {
	bound := s.admitted.Bound()
	for _, b := range bound {
		if s.admitted.Requests()[i].URL.Port == b.URL.Port && s.admitted.Requests()[i].URL.Scheme == b.URL.Scheme {
			return link.Header{Endpoint: b.ID, Scheme: b.URL.Scheme, ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711")}
		}
	}
	return link.Header{}
}

type clientConfig = chisel.ClientConfig
