package chisel_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

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
	return serveAt(t, "127.0.0.1", registrar)
}

func serveAt(t testing.TB, address string, registrar link.Registrar) *host {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
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

// naming is a Registrar whose binds get the ids that id gives them, so that both ends
// know them.
type naming struct {
	*linktest.Registrar
	id func(link.BindRequest) string
}

func (r naming) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	binder, welcome, err := r.Registrar.Admit(ctx, s, h)
	if err != nil {
		return nil, welcome, err
	}
	return namingBinder{binder, r.id}, welcome, nil
}

type namingBinder struct {
	link.Binder
	id func(link.BindRequest) string
}

func (b namingBinder) Bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	r.ID = b.id(r)
	return b.Binder.Bind(ctx, r)
}

func byName(r link.BindRequest) string { return r.Name }

// gateway is a host whose endpoints have the remotes' texts as their ids.
type gateway struct {
	*host
	registrar *linktest.Registrar
}

func newGateway(t testing.TB) *gateway {
	t.Helper()
	return newGatewayAt(t, "127.0.0.1")
}

func newGatewayAt(t testing.TB, address string) *gateway {
	t.Helper()
	registrar := linktest.NewRegistrar(token)
	return &gateway{serveAt(t, address, naming{registrar, byName}), registrar}
}

// next is the next session that was admitted, all its remotes bound.
func (g *gateway) next(remotes int) *linktest.Admitted {
	g.t.Helper()
	admitted, err := g.registrar.Next(g.t.Context())
	if err == nil {
		err = admitted.AwaitBound(g.t.Context(), remotes)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return admitted
}

// visit opens a stream as a visitor of the remote does.
func visit(t testing.TB, s link.Session, text string, from string) link.Stream {
	t.Helper()
	h := link.Header{Endpoint: text, Scheme: postern.TCP, ClientAddr: netip.MustParseAddrPort(from)}
	st, err := s.Open(t.Context(), h, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.SetDeadline(time.Now().Add(patience))
	return st
}

// patience bounds what should happen soon.
const patience = 20 * time.Second

// join makes a session with our own client.
func join(t testing.TB, change func(*chisel.ClientConfig), remotes ...string) (*gateway, *chisel.Client, link.Session) {
	t.Helper()
	g := newGateway(t)
	client, err := g.connect(t, change, remotes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close(nil)
		<-client.Done()
	})
	return g, client, g.next(len(remotes)).Session
}

type clientConfig = chisel.ClientConfig

var hello = link.Hello{Token: token, Gateway: &link.GatewayHello{Gateway: "sg_1"}}
