package sshr_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sshr"
)

const token = "good-token"

// gate is a linktest.Registrar that knows keys, too. A key stands for the token.
type gate struct {
	*linktest.Registrar
	mu      sync.Mutex
	keys    map[string]bool
	offered int // keys and tokens that were asked about
	refused int // clients without a good key
	refuse  *postern.Error
}

var _ sshr.Gatekeeper = (*gate)(nil)

func newGate(keys ...ssh.Signer) *gate {
	g := &gate{Registrar: linktest.NewRegistrar(token), keys: make(map[string]bool)}
	for _, key := range keys {
		g.keys[string(key.PublicKey().Marshal())] = true
	}
	return g
}

func (g *gate) Knows(_ context.Context, _ netip.Addr, h link.Hello) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.offered++
	switch {
	case h.SSHKey != nil && h.Token != "":
		return postern.Errorf(postern.CodeInternal, "a client cannot be two")
	case h.SSHKey != nil && g.keys[string(h.SSHKey)], h.Token == token:
		return nil
	case h.SSHKey != nil:
		return postern.Errorf(postern.CodeSSHKeyUnknown, "the key is not known")
	}
	return postern.Errorf(postern.CodeTokenInvalid, "the authtoken is not known")
}

func (g *gate) KeysRefused(context.Context, netip.Addr, []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused++
}

func (g *gate) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if g.refuse != nil {
		return nil, link.Welcome{}, g.refuse
	}
	if err := g.Knows(ctx, s.RemoteAddr().Addr(), h); err != nil {
		return nil, link.Welcome{}, err
	}
	known := h
	known.Token = token
	return g.Registrar.Admit(ctx, s, known)
}

// counts gives how much was asked, and how many clients had no good key.
func (g *gate) counts() (offered, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.offered, g.refused
}

// newKey makes a key pair.
func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// client is a client of an own server, with both ends in memory.
type client struct {
	*ssh.Client
	t        *testing.T
	served   chan error
	incoming <-chan ssh.NewChannel // visitors
	conn     net.Conn
}

// serve runs a server on one end of a pipe and gives the other.
func serve(t *testing.T, g *gate) (conn net.Conn, served chan error) {
	t.Helper()
	host := newKey(t)
	server := sshr.New(sshr.Config{Gatekeeper: g, HostKeys: func() []ssh.Signer { return []ssh.Signer{host} }, Logger: testkit.Logger(t)})
	near, far := testkit.Pipe()
	served = make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(t.Context()), far) }()
	return testkit.Fault(near), served
}

func clientConfig(auth ...ssh.AuthMethod) *ssh.ClientConfig {
	return &ssh.ClientConfig{User: "anybody", Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), ClientVersion: "SSH-2.0-test_1"}
}

// connect logs a client in with a key that the server knows.
func connect(t *testing.T, g *gate) *client {
	t.Helper()
	key := newKey(t)
	g.mu.Lock()
	g.keys[string(key.PublicKey().Marshal())] = true
	g.mu.Unlock()
	return connectAs(t, g, ssh.PublicKeys(key))
}

func connectAs(t *testing.T, g *gate, auth ...ssh.AuthMethod) *client {
	t.Helper()
	conn, served := serve(t, g)
	up, channels, requests, err := ssh.NewClientConn(conn, "server", clientConfig(auth...))
	if err != nil {
		_ = conn.Close()
		<-served
		t.Fatalf("the client was not let in: %v", err)
	}
	c := &client{t: t, served: served, conn: conn}
	c.Client = ssh.NewClient(up, channels, requests)
	c.incoming = c.HandleChannelOpen("forwarded-tcpip")
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	_ = c.Client.Close()
	<-c.served
	c.served <- nil
	for range c.incoming { // the client's own goroutine hands them over until its end
	}
}

type forwardRequest struct {
	Address string
	Port    uint32
}

// forward asks for a remote forward and gives the port that the server answers.
func (c *client) forward(address string, port uint32) (allocated uint32, ok bool) {
	c.t.Helper()
	ok, answer, err := c.SendRequest("tcpip-forward", true, ssh.Marshal(forwardRequest{address, port}))
	if err != nil {
		c.t.Fatalf("tcpip-forward: %v", err)
	}
	if ok && port == 0 {
		var got struct{ Port uint32 }
		if err := ssh.Unmarshal(answer, &got); err != nil {
			c.t.Fatalf("the answer to port 0 is %x: %v", answer, err)
		}
		return got.Port, true
	}
	return port, ok
}

// visitor is what a client is told of a visitor.
type visitor struct {
	Address string
	Port    uint32
	Origin  string
	From    uint32
}

// next takes the next visitor.
func (c *client) next() (visitor, ssh.Channel, <-chan *ssh.Request) {
	c.t.Helper()
	offered, ok := <-c.incoming
	if !ok {
		c.t.Fatal("the connection ended before a visitor came")
	}
	var v visitor
	if err := ssh.Unmarshal(offered.ExtraData(), &v); err != nil {
		c.t.Fatal(err)
	}
	channel, requests, err := offered.Accept()
	if err != nil {
		c.t.Fatal(err)
	}
	return v, channel, requests
}

// terminal is a session channel whose lines a test reads.
type terminal struct {
	*ssh.Session
	t     *testing.T
	lines *bufio.Scanner
}

// run starts a command, "" for a shell, after forwards were asked for with ask.
func (c *client) run(command string) *terminal {
	c.t.Helper()
	session, err := c.NewSession()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if command == "" {
		err = session.Shell()
	} else {
		err = session.Start(command)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return &terminal{session, c.t, bufio.NewScanner(out)}
}

// await reads lines up to one with text, and gives that.
func (m *terminal) await(text string) string {
	m.t.Helper()
	var seen []string
	for m.lines.Scan() {
		seen = append(seen, m.lines.Text())
		if strings.Contains(m.lines.Text(), text) {
			return m.lines.Text()
		}
	}
	m.t.Fatalf("no line has %q; there were %q", text, seen)
	return ""
}

// admitted is the session as the server has it.
func (c *client) admitted(g *gate) *linktest.Admitted {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	a, err := g.Next(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// acceptor is a client's end as the conformance suite has it.
type acceptor struct {
	client *client
	bound  link.Bound
}

func (a *acceptor) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	select {
	case offered, ok := <-a.client.incoming:
		if !ok {
			return link.Header{}, nil, postern.Errorf(postern.CodeLinkLost, "the connection ended")
		}
		var v visitor
		if err := ssh.Unmarshal(offered.ExtraData(), &v); err != nil {
			return link.Header{}, nil, err
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return link.Header{}, nil, postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(err)
		}
		from, err := netip.ParseAddrPort(net.JoinHostPort(v.Origin, strconv.Itoa(int(v.From))))
		return link.Header{Endpoint: a.bound.ID, ClientAddr: from, Scheme: postern.TCP}, sshr.ClientStream(a.client.Client.Conn, channel, requests), err
	case <-ctx.Done():
		return link.Header{}, nil, ctx.Err()
	}
}

// opener opens streams to the one endpoint that the client has, whatever the suite calls
// it: over SSH the server gives endpoints their ids.
type opener struct {
	link.Session
	id string
}

func (o opener) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	h.Endpoint = o.id
	return o.Session.Open(ctx, h, first)
}

func TestConformance(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		g := newGate()
		c := connect(t, g)
		a := c.admitted(g)
		c.run("")
		if _, ok := c.forward("", 0); !ok {
			t.Fatal("the forward was refused")
		}
		bound := a.Bound()[0]
		agent := &acceptor{client: c, bound: bound}
		agent.bound.ID = "ep_conformance"
		return opener{a.Session, bound.ID}, agent, c.close
	})
}
