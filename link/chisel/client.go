package chisel

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/link"
)

// ClientConfig is what Dial needs; Host, Path, Remotes and Logger are required.
type ClientConfig struct {
	Host      string // the server's name for HTTP, with the port unless it is the scheme's own
	Path      string // of the upgrade, with its query
	UserAgent string
	Header    http.Header // further headers, the token among them; Host replaces Host

	User        string // of SSH
	Password    postern.Secret
	Fingerprint string // of the server's host key; "" trusts any, as TLS is around it

	Version   string // what the config request says of us
	Remotes   []Offer
	KeepAlive time.Duration // between two pings of SSH; 0: none
	// KeepAliveTimeout is how long the answer to a ping may take. 0: for ever; that the
	// peer is there is asked of the WebSocket all the same.
	KeepAliveTimeout time.Duration

	Logger *slog.Logger
}

// Offer is a remote under the name by which its streams arrive.
type Offer struct {
	Endpoint string
	Remote   Remote
}

const (
	acceptBacklog = 256
	// mostUDPChannels is how many channels for datagrams a server may open.
	mostUDPChannels = 1024
	// mostFlowsAccepted is how many flows one of them may have.
	mostFlowsAccepted = 16384
)

// Client is a connector's session with a chisel server. It takes streams for the
// remotes that were offered and refuses all others, whatever the server asks for.
type Client struct {
	*tunnel
	config   *ClientConfig
	offers   map[string]string // by target: the endpoint
	accepted chan arrival
	channels int // for datagrams, that are open; guarded by tunnel.mu

	pings *time.Timer // guarded by tunnel.mu
}

var _ link.Acceptor = (*Client)(nil)

type arrival struct {
	header link.Header
	stream link.Stream
}

func newClient(conn *Conn, secured ssh.Conn, config *ClientConfig, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) *Client {
	c := &Client{tunnel: newTunnel(conn, config.Logger), config: config, offers: map[string]string{}, accepted: make(chan arrival, acceptBacklog)}
	c.ssh = secured
	c.halfCloses = true
	for _, offer := range config.Remotes {
		if target := offer.Remote.Target(); offer.Remote.Reverse && c.offers[target] == "" {
			c.offers[target] = offer.Endpoint
		}
	}
	go func() {
		c.serve(channels, requests)
		c.ended()
	}()
	return c
}

func (c *Client) remotes() []Remote {
	all := make([]Remote, len(c.config.Remotes))
	for i, offer := range c.config.Remotes {
		all[i] = offer.Remote
	}
	return all
}

// Own tells whether the server is Postern too.
func (c *Client) Own() bool { return c.conn.own }

// Accept gives the next stream. Endpoint in its header is the Offer's; the visitor is
// known only from servers of our own, and of UDP. The server's channel is accepted with
// the stream's first Read, Write, CloseWrite or Close: who cannot reach the target
// calls Reset before any of these, and the server learns why. A UDP flow is a stream of
// datagrams, each behind its length in 16 bits.
func (c *Client) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	select {
	case a := <-c.accepted:
		return a.header, a.stream, nil
	case <-c.done:
		return link.Header{}, nil, c.Cause()
	case <-ctx.Done():
		return link.Header{}, nil, ctx.Err()
	}
}

// Close ends the session and all its streams.
func (c *Client) Close(why *postern.Error) {
	if why == nil {
		why = postern.Errorf(postern.CodeLinkLost, "the session was closed here")
	}
	c.end(why)
	c.mu.Lock()
	if c.pings != nil {
		c.pings.Stop()
	}
	c.mu.Unlock()
	c.conn.CloseWith(frames.StatusGoingAway, why.Text())
}

// serve takes what the server asks for; both end with SSH.
func (c *Client) serve(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	for channels != nil || requests != nil {
		select {
		case opened, ok := <-channels:
			if !ok {
				channels = nil
				continue
			}
			c.take(opened)
		case r, ok := <-requests:
			switch {
			case !ok:
				requests = nil
			case r.Type == "ping":
				_ = r.Reply(true, []byte("pong"))
			default:
				_ = r.Reply(false, nil)
			}
		}
	}
}

// take makes a stream of a channel that the server opens, if its target is one that was
// offered: a server has no say in what is dialled here.
func (c *Client) take(opened ssh.NewChannel) {
	target, visitor := string(opened.ExtraData()), ""
	if c.conn.own {
		target, visitor, _ = strings.Cut(target, "\n")
	}
	endpoint, offered := c.offers[target]
	if !offered {
		c.logger.Warn("the server asked for a target that was not offered", slog.String("target", clipped(target)))
		_ = opened.Reject(ssh.Prohibited, "the connector does not offer this target")
		return
	}
	h := link.Header{Endpoint: endpoint, Scheme: postern.TCP}
	h.ClientAddr, _ = netip.ParseAddrPort(visitor) // unknown is unknown
	if strings.HasSuffix(target, "/udp") {
		h.Scheme = postern.UDP
		c.takeDatagrams(opened, h)
		return
	}
	refuse := func(why *postern.Error) {
		reason := ssh.ConnectionFailed
		switch why.Code {
		case postern.CodeStreamRefused:
			reason = ssh.Prohibited
		case postern.CodeStreamLimit:
			reason = ssh.ResourceShortage
		}
		_ = opened.Reject(reason, why.Text())
	}
	st := newStream(c.tunnel, opened.Accept, refuse)
	full := postern.Errorf(postern.CodeStreamLimit, "the connector has as many connections as it can take")
	if c.Streams() >= mostStreams || !c.add(st) {
		refuse(full)
		return
	}
	select {
	case c.accepted <- arrival{h, st}:
	default:
		st.Reset(full)
	}
}

// takeDatagrams serves a channel of a UDP remote.
func (c *Client) takeDatagrams(opened ssh.NewChannel, h link.Header) {
	c.mu.Lock()
	room := c.channels < mostUDPChannels && c.cause == nil
	if room {
		c.channels++
	}
	c.mu.Unlock()
	if !room {
		_ = opened.Reject(ssh.ResourceShortage, "the connector has as many channels as it can take")
		return
	}
	channel, requests, err := opened.Accept()
	if err != nil {
		return // with the session
	}
	go ssh.DiscardRequests(requests)
	d := &datagrams{tunnel: c.tunnel, flows: map[string]*flow{}}
	d.fresh = func(source string) *flow { return c.newFlow(d, h, source) }
	go func() {
		d.serve(channel)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.channels--
	}()
}

// newFlow makes a flow for a source that is new; nil where there is no room.
func (c *Client) newFlow(d *datagrams, h link.Header, source string) *flow {
	h.ClientAddr, _ = netip.ParseAddrPort(source)
	f := newFlow(d, source)
	d.mu.Lock()
	if d.over || len(d.flows) >= mostFlowsAccepted {
		d.mu.Unlock()
		return nil
	}
	d.flows[source] = f
	d.mu.Unlock()
	select {
	case c.accepted <- arrival{h, f}:
		return f
	default:
		_ = f.Close()
		return nil
	}
}

// keepAlive sends the pings of SSH that some proxies need to see.
func (c *Client) keepAlive() {
	if c.config.KeepAlive <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.pings = time.AfterFunc(c.config.KeepAlive, c.ping)
	}
}

func (c *Client) ping() {
	if timeout := c.config.KeepAliveTimeout; timeout > 0 {
		late := time.AfterFunc(timeout, func() {
			c.end(postern.Errorf(postern.CodeLinkLost, "the server has not answered a ping for %s", timeout))
			c.conn.cut()
		})
		defer late.Stop()
	}
	_, answer, err := c.ssh.SendRequest("ping", true, nil)
	switch {
	case err != nil:
		return
	case len(answer) > 0 && string(answer) != "pong":
		c.Close(postern.Errorf(postern.CodeLinkLost, "strange ping response"))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.pings.Reset(c.config.KeepAlive)
	}
}
