package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access/socks5"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// Proxy is a listener for clients that name the port they want. One that speaks both
// protocols tells them by their first byte.
type Proxy struct {
	Listen netip.AddrPort
	SOCKS5 bool
	HTTP   bool // CONNECT
}

const (
	// greetingPatience is how long a client has for what it says before a stream is
	// opened, greetingLimit how many bytes.
	greetingPatience = 10 * time.Second
	greetingLimit    = 16 << 10

	// wrongPause is what a wrong password costs.
	wrongPause = time.Second
)

// proxyDoor is a Proxy's listener.
type proxyDoor struct {
	access   *Access
	proxy    Proxy
	listener net.Listener
}

func (d *proxyDoor) wants() *Port   { return nil }
func (d *proxyDoor) addr() net.Addr { return d.listener.Addr() }
func (d *proxyDoor) close()         { _ = d.listener.Close() }

func (d *proxyDoor) to() string {
	var spoken []string
	if d.proxy.SOCKS5 {
		spoken = append(spoken, "socks5")
	}
	if d.proxy.HTTP {
		spoken = append(spoken, "http-connect")
	}
	return strings.Join(spoken, "+")
}

func (d *proxyDoor) serve(ctx context.Context) {
	d.access.accept(ctx, d.listener, func(conn relay.Conn, free func()) {
		defer free()
		d.greet(ctx, conn)
	})
}

// greet finds out what the client speaks. ctx ends what has not become a connection.
func (d *proxyDoor) greet(ctx context.Context, conn relay.Conn) {
	peeked := relay.NewPeeked(conn, greetingLimit)
	defer peeked.Close()
	_ = conn.SetDeadline(time.Now().Add(greetingPatience))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	first, err := peeked.Peek(1)
	if err != nil {
		return
	}
	c := &client{door: d, ctx: ctx, conn: peeked, free: stop}
	switch {
	case d.proxy.SOCKS5 && first[0] == socks5.Version:
		c.socks()
	case d.proxy.HTTP && 'A' <= first[0] && first[0] <= 'Z':
		c.http()
	default:
		d.access.log.DebugContext(ctx, "a client speaks what the proxy does not", "from", conn.RemoteAddr().String())
	}
}

// client is one connection to a proxy.
type client struct {
	door *proxyDoor
	ctx  context.Context // ends with the listener
	conn *relay.Peeked
	free func() bool // takes the end of ctx off the connection
}

// mayEnter compares a name and a password with those that are asked for, in a time that
// tells nothing about them.
func (c *client) mayEnter(user, password string) bool {
	config := &c.door.access.config
	given := sha256.Sum256([]byte(user + "\x00" + password))
	wanted := sha256.Sum256([]byte(config.User + "\x00" + config.Password.Reveal()))
	if subtle.ConstantTimeCompare(given[:], wanted[:]) == 1 {
		return true
	}
	pause(c.ctx, wrongPause)
	return false
}

func (c *client) locked() bool {
	config := &c.door.access.config
	return config.User != "" || config.Password != ""
}

// dial opens the stream to what the client has named.
func (c *client) dial(host string, port uint16) (link.Stream, link.GatewayPort, error) {
	a := c.door.access
	p, err := a.names.find(postern.TCP, host, port)
	if err != nil {
		a.log.DebugContext(c.ctx, "a proxy's client was refused", "from", c.conn.RemoteAddr().String(), "error", err)
		return nil, p, err
	}
	ctx, cancel := context.WithTimeout(a.work, dialPatience)
	defer cancel()
	st, err := a.config.Dialer.Dial(ctx, p)
	if err != nil {
		a.refused(a.work, p, err)
	}
	return st, p, err
}

// relay goes on as a plain connection, after answer.
func (c *client) relay(answer []byte, st link.Stream, p link.GatewayPort) {
	if !c.write(answer) || !c.released() {
		st.Reset(&postern.Error{Code: postern.CodeStreamReset})
		_ = st.Close()
		return
	}
	c.door.access.relay(c.conn, st, p)
}

// released takes the greeting's deadline away. False: the listener's end came first.
func (c *client) released() bool {
	return c.free() && c.conn.SetDeadline(time.Time{}) == nil
}

// write sends what the client must hear, in the time of the greeting, or a moment beyond
// it where the server took long.
func (c *client) write(b []byte) bool {
	_ = c.conn.SetWriteDeadline(time.Now().Add(greetingPatience))
	n, err := c.conn.Write(b)
	return err == nil && n == len(b)
}

// isName tells whether text can be a gateway's name in a log and in a message.
func isName(text string) bool {
	return text != "" && len(text) <= 255 && bytes.IndexFunc([]byte(text), func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}
