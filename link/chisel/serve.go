package chisel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// handshakeTimeout is how long SSH's handshake may take, and configTimeout how long
	// the config request may be in coming, which is what chisel's server allows.
	handshakeTimeout = 10 * time.Second
	configTimeout    = 10 * time.Second
	// strangerBytes is what a client may send before it was admitted: a handshake of 4
	// KiB and a config request.
	strangerBytes = 256 << 10
	// refusalTimeout is how long a client that was refused may take to read why.
	refusalTimeout = 2 * time.Second

	serverVersion = "SSH-" + Subprotocol + "-server"
)

// Config is what Serve needs; Registrar, Logger and HostKey are required.
type Config struct {
	Registrar link.Registrar
	Logger    *slog.Logger
	HostKey   ssh.Signer
	// Hello is what the upgrade told, see HelloOf. Serve adds the client's version, and
	// the token where it comes as SSH's password (chisel's --auth user:TOKEN).
	Hello link.Hello
}

// Serve runs a connector's session over conn. It blocks until the session has ended,
// closes conn, and returns why, a *postern.Error: where the connector was refused, the
// Registrar's or the Binder's. ctx ends the session.
//
// A connector without a good token is refused in answer to its config request and not
// before, because real clients show that answer to their operator and nothing else.
func Serve(ctx context.Context, conn *Conn, c Config) error {
	t := newTunnel(conn, c.Logger)
	s := &session{
		tunnel: t, remote: addrPort(conn.RemoteAddr()),
		places: make(chan struct{}, mostStreams), ready: make(chan struct{}),
		remotes: map[string]Remote{}, groups: map[string]*sources{},
	}
	stop := context.AfterFunc(ctx, func() { s.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down")) })
	defer stop()

	hello := c.Hello
	conn.strangers(strangerBytes)
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	secured, channels, requests, err := ssh.NewServerConn(conn, serverConfig(c.HostKey, &hello))
	if err != nil {
		_ = conn.Close()
		return postern.Errorf(postern.CodeLinkLost, "the handshake did not come to an end").Because(errors.Join(conn.Ended(), err))
	}
	_ = conn.SetDeadline(time.Time{})
	t.ssh = secured
	h := &handler{session: s, config: c, hello: hello, channels: channels, requests: requests, configured: make(chan request, 1)}
	return h.run(ctx)
}

// serverConfig admits everybody to SSH. Who has shown a token already needs no other
// method; from all others a password is asked, which may be the token.
func serverConfig(key ssh.Signer, hello *link.Hello) *ssh.ServerConfig {
	config := &ssh.ServerConfig{ServerVersion: serverVersion, NoClientAuth: hello.Token != ""}
	config.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if hello.Token == "" {
			hello.Token = postern.Secret(password)
		}
		return nil, nil
	}
	config.AddHostKey(key)
	return config
}

// handler serves what a client asks for.
type handler struct {
	*session
	config     Config
	hello      link.Hello
	channels   <-chan ssh.NewChannel
	requests   <-chan *ssh.Request
	configured chan request // the config request, once
	reply      *ssh.Request // whose answer it is
	binder     link.Binder
	refused    *postern.Error
}

// run answers requests until SSH has ended, while admit admits.
func (h *handler) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	admitted := make(chan struct{})
	go func() {
		defer close(admitted)
		h.admit(ctx)
	}()
	h.serve()
	why := h.ended()
	cancel()
	<-admitted
	if h.binder != nil {
		h.binder.Release(why)
	}
	h.endFlows()
	if h.refused != nil {
		return h.refused
	}
	return why
}

// serve takes the client's requests and channels; both end with SSH.
func (h *handler) serve() {
	for h.channels != nil || h.requests != nil {
		select {
		case opened, ok := <-h.channels:
			if !ok {
				h.channels = nil
				continue
			}
			_ = opened.Reject(ssh.Prohibited, "a gateway opens connections and takes none: write R: in front of the remote")
		case r, ok := <-h.requests:
			if !ok {
				h.requests = nil
				continue
			}
			h.request(r)
		}
	}
	close(h.configured)
}

// request answers one global request. Pings are answered at once: some clients hang up
// after two seconds.
func (h *handler) request(r *ssh.Request) {
	switch {
	case r.Type == "ping":
		_ = r.Reply(true, []byte("pong"))
	case r.Type == "config" && h.reply == nil:
		h.reply = r
		asked, err := parseRequest(r.Payload)
		if err != nil {
			h.refuse(postern.AsError(err))
			return
		}
		h.configured <- asked
	case h.reply == nil:
		_ = r.Reply(false, []byte("expecting config request"))
	default:
		_ = r.Reply(false, nil)
	}
}

// refuse tells the client why, in answer to its config request, and hangs up soon.
func (h *handler) refuse(why *postern.Error) {
	h.mu.Lock()
	already := h.refused != nil
	if !already {
		h.refused = why
	}
	h.mu.Unlock()
	if already {
		return
	}
	_ = h.reply.Reply(false, []byte(why.Text()))
	time.AfterFunc(refusalTimeout, func() { h.Close(why) })
}

// admit waits for the config request and does what it asks for.
func (h *handler) admit(ctx context.Context) {
	patience := time.NewTimer(configTimeout)
	defer patience.Stop()
	var asked request
	select {
	case got, ok := <-h.configured:
		if !ok {
			return
		}
		asked = got
	case <-patience.C:
		h.mu.Lock()
		unasked := h.refused == nil
		h.mu.Unlock()
		if unasked {
			h.Close(postern.Errorf(postern.CodeRequestTimeout, "no config request came within %s", configTimeout))
		}
		return
	case <-h.done:
		return
	}
	h.dialsFirst = h.conn.own || halfCloses(asked.Version)
	h.halfCloses = h.dialsFirst
	if h.hello.Agent.Version == "" {
		h.hello.Agent.Version = asked.Version
	}
	binder, _, err := h.config.Registrar.Admit(ctx, h.session, h.hello)
	if err != nil {
		h.refuse(postern.AsError(err))
		return
	}
	h.binder = binder
	for _, remote := range asked.Remotes {
		if err := h.bind(ctx, remote); err != nil {
			h.binder.Release(err)
			h.refuse(err)
			return
		}
	}
	h.conn.strangers(-1)
	h.watch()
	if err := h.reply.Reply(true, nil); err == nil {
		close(h.ready)
	}
}

// bind takes one remote online. The error names it.
func (h *handler) bind(ctx context.Context, remote Remote) *postern.Error {
	port, _ := portOf(remote.LocalPort) // it was checked
	target := net.JoinHostPort(trimBrackets(remote.RemoteHost), remote.RemotePort)
	bound, err := h.binder.Bind(ctx, link.BindRequest{
		URL:        postern.URLRequest{Scheme: postern.Scheme(remote.LocalProto), Port: port},
		Name:       remote.String(),
		ForwardsTo: target,
	})
	if err != nil {
		why := *postern.AsError(err)
		why.Message = "the remote '" + remote.String() + "': " + why.Text()
		return &why
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remotes[bound.ID] = remote
	if remote.RemoteProto == "udp" {
		h.groups[bound.ID] = newSources(h.session, remote)
	}
	return nil
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

func addrPort(addr net.Addr) netip.AddrPort {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}
