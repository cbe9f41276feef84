package connector

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
)

// chiselPatience bounds one attempt over chisel's wire, from the dial to the server's
// word about the remotes.
const chiselPatience = 45 * time.Second

// latencyPatience bounds the wait for a latency to show.
const latencyPatience = 2 * time.Second

// connectChisel makes a connection over chisel's wire, which offers remotes and cannot
// change them.
func (r *route) connectChisel(ctx context.Context, at address, remotes []Remote) (wire, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, chiselPatience)
	defer cancel()
	conn, err := r.dialGateway(ctx, at)
	if err != nil {
		return nil, 0, err
	}
	client, err := chisel.Dial(ctx, conn, r.chiselConfig(at, remotes))
	if err != nil {
		return nil, 0, saidByServer(err)
	}
	w := &chiselWire{Client: client, keys: map[string]Key{}}
	for _, remote := range remotes {
		w.keys[remote.Key.String()] = remote.Key
	}
	asked, done := context.WithTimeout(ctx, latencyPatience)
	defer done()
	began := time.Now()
	latency, err := client.Ping(asked)
	if err != nil { // a proxy on the way may keep it to itself; it is for the log
		latency = time.Since(began)
	}
	return w, latency, nil
}

// chiselConfig is what a server is told: the query as outsystemscc has it, by which
// servers of ours know whose ghost they hold.
func (r *route) chiselConfig(at address, remotes []Remote) chisel.ClientConfig {
	g := r.gateway
	var (
		ports  []string
		offers []chisel.Offer
	)
	for _, remote := range remotes {
		if port := remote.wire().LocalPort; !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
		offers = append(offers, chisel.Offer{Endpoint: remote.Key.String(), Remote: remote.wire()})
	}
	user, password, _ := strings.Cut(g.Auth.Reveal(), ":")
	host := g.host()
	if host == "" {
		host = at.hostPort()
		if name, port := splitPort(host); at.secure && port == "443" || !at.secure && port == "80" {
			host = name
			if strings.Contains(name, ":") {
				host = "[" + name + "]"
			}
		}
	}
	return chisel.ClientConfig{
		Host: host, Path: at.with("id", r.instance, "ports", strings.Join(ports, ",")).RequestURI(), Header: g.header(r.userAgent),
		User: user, Password: postern.Secret(password), Fingerprint: g.Fingerprint,
		Version: r.userAgent, Remotes: offers, KeepAlive: g.KeepAlive, Logger: r.logger,
	}
}

// dialGateway connects to the address, and secures the connection where it says so.
func (r *route) dialGateway(ctx context.Context, at address) (net.Conn, error) {
	conn, err := r.net.Dial(ctx, tcp, at.hostPort())
	if err != nil {
		return nil, r.unreachable(at, err)
	}
	if !at.secure {
		return conn, nil
	}
	config := r.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _ = splitPort(at.hostPort())
	}
	config.DynamicRecordSizingDisabled = true
	secured := tls.Client(link.NewWire(conn), config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error is the one that counts
		return nil, r.unreachable(at, err)
	}
	return secured, nil
}

// saidByServer gives a code to what a server answered, and keeps its words as they are:
// operators look for them.
func saidByServer(err error) error {
	if refused, ok := errors.AsType[*chisel.Refused](err); ok {
		code := postern.CodeInternal // which is to say that nobody gave one
		if at := strings.LastIndex(refused.Text, "(ERR_"); at >= 0 && strings.HasSuffix(refused.Text, ")") {
			code = postern.Code(refused.Text[at+1 : len(refused.Text)-1])
		}
		return &postern.Error{Code: code, Message: refused.Text, Cause: err}
	}
	if answer, ok := errors.AsType[*chisel.BadHandshake](err); ok {
		return &postern.Error{Code: postern.CodeIntercepted, Message: answer.Error(), Cause: err}
	}
	return err
}

// chiselWire is a session with a chisel server.
type chiselWire struct {
	*chisel.Client
	keys map[string]Key // by the endpoint of an offer
}

// Accept implements wire.
func (w *chiselWire) Accept(ctx context.Context) (Key, link.Header, link.Stream, error) {
	header, stream, err := w.Client.Accept(ctx)
	return w.keys[header.Endpoint], header, stream, err
}

// Offer implements wire: it cannot.
func (w *chiselWire) Offer(context.Context, Remote) error {
	return postern.Errorf(postern.CodeOptionUnsupported, "the remotes of a connection to a chisel server cannot change")
}

// Withdraw implements wire: it cannot.
func (w *chiselWire) Withdraw(context.Context, Key) error {
	return postern.Errorf(postern.CodeOptionUnsupported, "the remotes of a connection to a chisel server cannot change")
}

// Fixed implements wire.
func (w *chiselWire) Fixed() bool { return true }

// Draining implements wire: such a server says nothing of the kind.
func (w *chiselWire) Draining() <-chan struct{} { return nil }

// Name implements wire.
func (w *chiselWire) Name() string { return chisel.Subprotocol }

var _ wire = (*chiselWire)(nil)
