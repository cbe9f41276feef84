package gateway_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/store"
)

const account = postern.AccountID("ac_1")

// rows is a gateway.Service.
type rows struct {
	mu       sync.Mutex
	gateways []store.Gateway
	tokens   []store.GatewayToken
	down     bool
}

func (r *rows) Gateways(context.Context) ([]store.Gateway, []store.GatewayToken, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, nil, postern.Errorf(postern.CodeStoreUnavailable, "the store is down")
	}
	return append([]store.Gateway(nil), r.gateways...), append([]store.GatewayToken(nil), r.tokens...), nil
}

// secret makes a token and its row; n tells tokens apart.
func secret(gateway string, n byte) (postern.Secret, store.GatewayToken) {
	unique, half := strings.Repeat(string('a'+rune(n)), 27), strings.Repeat(string('A'+rune(n)), 21)
	return postern.Secret("sgt_" + unique + "_" + half),
		store.GatewayToken{Meta: store.Meta{ID: "pgt_" + unique, Account: account}, Gateway: gateway, Verifier: sha256.Sum256([]byte(half))}
}

// network is a gateway.Sockets in memory.
type network struct {
	mu   sync.Mutex
	open map[netip.AddrPort]*listener
	held map[netip.AddrPort]bool // by another program
}

func (n *network) ListenTCP(_ context.Context, at netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[at] != nil || n.held[at] {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	ln := &listener{network: n, at: at, conns: make(chan net.Conn), done: make(chan struct{})}
	n.open[at] = ln
	return ln, nil
}

func (n *network) ListenUDP(_ context.Context, _ netip.AddrPort) (net.PacketConn, error) {
	return net.ListenPacket("udp", "127.0.0.1:0")
}

var errRefused = errors.New("connection refused")

// dial connects as a consumer does.
func (n *network) dial(at, from string) (*testkit.PipeConn, error) {
	n.mu.Lock()
	ln := n.open[netip.MustParseAddrPort(at)]
	n.mu.Unlock()
	if ln == nil {
		return nil, errRefused
	}
	mine, theirs := testkit.Pipe()
	select {
	case ln.conns <- &accepted{PipeConn: theirs.(*testkit.PipeConn), from: netip.MustParseAddrPort(from)}:
		return mine.(*testkit.PipeConn), nil
	case <-ln.done:
		return nil, errRefused
	}
}

// accepted is a connection with a remote address of its own.
type accepted struct {
	*testkit.PipeConn
	from netip.AddrPort
}

func (a *accepted) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(a.from) }

type listener struct {
	network *network
	at      netip.AddrPort
	conns   chan net.Conn
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	if l.network.open[l.at] == l {
		delete(l.network.open, l.at)
		close(l.done)
	}
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// connector is a link.Session whose far end answers what a test says.
type connector struct {
	addr      netip.AddrPort
	transport string
	target    func(net.Conn) // serves a stream; nil: it echoes

	mu      sync.Mutex
	frozen  bool // answers nothing, and takes streams nobody reads
	refuse  *postern.Error
	binder  link.Binder
	done    chan struct{}
	cause   *postern.Error
	stopped []string
	streams []link.Stream
	opened  []string // the bind ids of streams
	running sync.WaitGroup
	pumps   bool // streams are link.Pumps
}

func newConnector(addr string) *connector {
	return &connector{addr: netip.MustParseAddrPort(addr), transport: "postern/1", done: make(chan struct{})}
}

// stream is a pipe as a link.Stream.
type stream struct {
	*testkit.PipeConn
	mu  sync.Mutex
	why *postern.Error
}

func (s *stream) Reset(why *postern.Error) {
	s.mu.Lock()
	s.why = why
	s.mu.Unlock()
	_ = s.SetLinger(0)
	_ = s.Close()
}

func (s *stream) reason() *postern.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// refusedStream is one whose target could not be reached.
type refusedStream struct {
	*stream
	why *postern.Error
}

// pumpedStream is one that hands on and fetches by itself.
type pumpedStream struct {
	*stream
	link.Pump
}

func (s *refusedStream) Read([]byte) (int, error) { return 0, s.why }

func (c *connector) Open(_ context.Context, h link.Header, first []byte) (link.Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return nil, postern.Errorf(postern.CodeLinkLost, "the session is over")
	}
	near, far := testkit.Pipe()
	s := &stream{PipeConn: near.(*testkit.PipeConn)}
	c.streams, c.opened = append(c.streams, s), append(c.opened, h.Endpoint)
	if c.refuse != nil {
		_ = far.Close()
		return &refusedStream{s, c.refuse}, nil
	}
	if len(first) > 0 {
		if _, err := s.Write(first); err != nil {
			return nil, err
		}
	}
	serve, frozen := c.target, c.frozen
	if serve == nil {
		serve = func(conn net.Conn) { _, _ = io.Copy(conn, conn) }
	}
	c.running.Go(func() {
		if !frozen {
			serve(far)
		} else {
			<-c.done
		}
		_ = far.Close()
	})
	if c.pumps {
		return pumpedStream{s, s.Pumped()}, nil
	}
	return s, nil
}

func (c *connector) RemoteAddr() netip.AddrPort { return c.addr }
func (c *connector) Transport() string          { return c.transport }

func (c *connector) Ping(ctx context.Context) (time.Duration, error) {
	c.mu.Lock()
	frozen := c.frozen
	c.mu.Unlock()
	if !frozen {
		return time.Millisecond, nil
	}
	select {
	case <-ctx.Done():
	case <-c.done:
	}
	return 0, postern.Errorf(postern.CodeLinkLost, "no answer")
}

func (c *connector) Command(context.Context, link.Command) error {
	return postern.Errorf(postern.CodeCommandFailed, "a connector takes no commands")
}

func (c *connector) StopEndpoint(_ context.Context, id string, _ *postern.Error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = append(c.stopped, id)
	return nil
}

func (c *connector) Drain() {}

func (c *connector) Close(why *postern.Error) {
	c.mu.Lock()
	if c.cause != nil {
		c.mu.Unlock()
		return
	}
	c.cause = why
	close(c.done)
	streams, binder := c.streams, c.binder
	c.mu.Unlock()
	for _, s := range streams {
		s.Reset(why)
	}
	if binder != nil {
		binder.Release(why)
	}
	c.running.Wait()
}

func (c *connector) Done() <-chan struct{} { return c.done }

func (c *connector) Cause() *postern.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *connector) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

func (c *connector) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

// count tells how many streams were opened.
func (c *connector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.opened)
}

// world is a runtime with one gateway, sg_1, and a token of it.
type world struct {
	t       testing.TB
	rows    *rows
	bus     *event.Bus
	net     *network
	token   postern.Secret
	runtime *gateway.Runtime

	mu      sync.Mutex
	records []gateway.Record
	changes []gateway.Change
}

// newWorld makes a world whose runtime runs until the test's end; change edits what it
// starts with.
func newWorld(t testing.TB, change func(*rows, *gateway.Config)) *world {
	w := &world{t: t, bus: event.NewBus(), net: &network{open: make(map[netip.AddrPort]*listener), held: make(map[netip.AddrPort]bool)}}
	token, row := secret("pgw_1", 0)
	w.token = token
	w.rows = &rows{tokens: []store.GatewayToken{row}, gateways: []store.Gateway{{
		Meta: store.Meta{ID: "pgw_1", Account: account}, Name: "stage", Path: "sg_1", Listen: []netip.Addr{netip.MustParseAddr("127.64.0.1")},
		Hold: 10 * time.Second, Conflict: store.GatewayRefuse,
	}}}
	config := gateway.Config{
		Service: w.rows, Bus: w.bus, Region: "here", Live: gateway.Live{Places: allow.Loopback()}, Sockets: w.net, Logger: testkit.Logger(t),
		Audit: func(r gateway.Record) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.records = append(w.records, r)
		},
		Changed: func(c gateway.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, c)
		},
	}
	if change != nil {
		change(w.rows, &config)
	}
	w.runtime = gateway.New(config)
	if err := w.runtime.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.runtime.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		w.runtime.Close(postern.Errorf(postern.CodeLinkDraining, "the test is over"))
		w.bus.Close()
	})
	return w
}

// edit changes rows, and has the runtime read them.
func (w *world) edit(change func(*rows)) {
	w.t.Helper()
	w.rows.mu.Lock()
	change(w.rows)
	w.rows.mu.Unlock()
	w.bus.Publish(event.Record{Event: postern.Event{Type: event.GatewayUpdated}})
}

func (w *world) admit(c *connector, token postern.Secret, g link.GatewayHello) error {
	binder, _, err := w.runtime.Admit(w.t.Context(), c, link.Hello{Token: token, Gateway: &g})
	if err == nil {
		c.mu.Lock()
		c.binder = binder
		c.mu.Unlock()
	}
	return err
}

// connect admits a connector that offers TCP ports, each for the target of its number.
func (w *world) connect(addr, instance string, ports ...uint16) *connector {
	w.t.Helper()
	c := newConnector(addr)
	w.offer(c, instance, ports...)
	return c
}

// offer connects c, which offers ports.
func (w *world) offer(c *connector, instance string, ports ...uint16) {
	w.t.Helper()
	if err := w.admit(c, w.token, link.GatewayHello{Gateway: "sg_1", Instance: instance}); err != nil {
		w.t.Fatal(err)
	}
	for _, port := range ports {
		if _, err := c.bind(port, ""); err != nil {
			w.t.Fatal(err)
		}
	}
}

// bind offers a TCP port; without a target the one of its number.
func (c *connector) bind(port uint16, target string) (link.Bound, error) {
	if target == "" {
		target = netip.AddrPortFrom(netip.MustParseAddr("192.168.0.3"), port).String()
	}
	return c.binder.Bind(context.Background(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.TCP, Port: port}, ForwardsTo: target})
}

// echo tells whether a consumer's bytes come back, and closes the connection.
func (w *world) echo(conn *testkit.PipeConn) error {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte("question")); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && string(answer) != "question" {
		return errors.New("the answer is " + string(answer))
	}
	return err
}

func (w *world) dial(at string) *testkit.PipeConn {
	w.t.Helper()
	conn, err := w.net.dial(at, "127.0.0.1:50000")
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// outcomes are those of the connections that are over.
func (w *world) outcomes() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		all = append(all, r.Outcome())
	}
	return all
}

func (w *world) kinds() (all []gateway.ChangeKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changes {
		all = append(all, c.Kind)
	}
	return all
}

var (
	_ link.Session    = (*connector)(nil)
	_ gateway.Sockets = (*network)(nil)
	_ gateway.Service = (*rows)(nil)
)

func hello(path string) link.GatewayHello { return link.GatewayHello{Gateway: path} }
