package access

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Dialer reaches ports of private gateways, as *agent.Agent does.
type Dialer interface {
	Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error)
	DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error)
	Check(ctx context.Context, p link.GatewayPort) error
}

// Config says what to open. Dialer, Gateway, and a Port or a Proxy are required.
type Config struct {
	Dialer  Dialer
	Gateway string   // that proxies know as "secure-gateway" and by its name
	Others  []string // further gateways that proxies know by their names
	Ports   []Port
	Proxies []Proxy

	// User and Password are asked for by proxies; "" for both: nobody is asked.
	User     string
	Password postern.Secret

	// Connections is how many TCP connections there may be at once, on all listeners
	// together; 0 is 1024. Flows is that of UDP, for each listener; 0 is 1024.
	Connections, Flows int

	// Opened is told of each listener that takes connections, Refused of each port that
	// the server refuses at the start. nil: nobody is.
	Opened  func(at net.Addr, to string)
	Refused func(p Port, why *postern.Error)

	Logger *slog.Logger // nil: silent
}

const (
	defaultConnections = 1024
	defaultFlows       = 1024

	// dialPatience is how long a connection waits for a session and for the server's
	// answer.
	dialPatience = 20 * time.Second
)

// Access brings ports of gateways to this machine. Make one with Listen, and run it
// once.
type Access struct {
	config Config
	log    *slog.Logger
	names  names
	slots  chan struct{}
	doors  []door
	work   context.Context // of connections: ends with Run
	conns  sync.WaitGroup

	mu   sync.Mutex
	told map[link.GatewayPort]postern.Code // the refusal that was told last
}

// door is a listener.
type door interface {
	// wants is the port that the listener leads to; nil for a proxy.
	wants() *Port
	addr() net.Addr
	to() string
	// serve takes what comes until ctx ends, and closes the listener. Connections may
	// outlive it.
	serve(ctx context.Context)
	close()
}

// Listen opens the listeners; nothing is taken from them before Run. Errors are
// CodeFlagInvalid: an address that cannot be listened on.
func Listen(ctx context.Context, c Config) (*Access, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.Flows <= 0 {
		c.Flows = defaultFlows
	}
	a := &Access{config: c, log: c.Logger, names: newNames(c.Gateway, c.Others),
		slots: make(chan struct{}, c.Connections), told: make(map[link.GatewayPort]postern.Code)}
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *Access) open(ctx context.Context) error {
	var listening net.ListenConfig
	for _, p := range a.config.Ports {
		a.warn(ctx, p.Listen)
		if p.Network == udp {
			conn, err := listening.ListenPacket(ctx, "udp", p.Listen.String())
			if err != nil {
				return listenError(p.Listen, err)
			}
			a.doors = append(a.doors, &udpDoor{access: a, port: p, conn: conn})
			continue
		}
		listener, err := listening.Listen(ctx, "tcp", p.Listen.String())
		if err != nil {
			return listenError(p.Listen, err)
		}
		a.doors = append(a.doors, &tcpDoor{access: a, port: p, listener: listener})
	}
	for _, p := range a.config.Proxies {
		a.warn(ctx, p.Listen)
		listener, err := listening.Listen(ctx, "tcp", p.Listen.String())
		if err != nil {
			return listenError(p.Listen, err)
		}
		a.doors = append(a.doors, &proxyDoor{access: a, proxy: p, listener: listener})
	}
	return nil
}

// warn tells of a listener that others than this machine's own programs reach.
func (a *Access) warn(ctx context.Context, at netip.AddrPort) {
	if !at.Addr().IsLoopback() {
		a.log.WarnContext(ctx, "the listener is not on loopback: whoever reaches it reaches the gateway with your credential", "addr", at)
	}
}

func listenError(at netip.AddrPort, err error) error {
	return postern.Errorf(postern.CodeFlagInvalid,
		"%s cannot be listened on: %v; choose another local port, for example 8081:9000", at, errors.Unwrap(err)).Because(err)
}

// Close closes the listeners of an Access that is not run.
func (a *Access) Close() {
	for _, d := range a.doors {
		d.close()
	}
}

// Run asks the server whether the ports are allowed, then takes connections until ctx
// ends; it then closes the listeners, and returns when the connections that are open
// have ended: their streams do so with the agent's session. What the server refuses is
// left closed. Errors are *postern.Error: the first refusal where every port is refused,
// or what else keeps the first question from an answer.
func (a *Access) Run(ctx context.Context) error {
	defer a.Close()
	doors, err := a.check(ctx)
	if err != nil {
		return err
	}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	a.work = work
	var serving sync.WaitGroup
	for _, d := range doors {
		if a.config.Opened != nil {
			a.config.Opened(d.addr(), d.to())
		}
		a.log.InfoContext(ctx, "listening", "addr", d.addr().String(), "to", d.to())
		serving.Go(func() { d.serve(ctx) })
	}
	serving.Wait()
	a.conns.Wait()
	return nil
}

// check asks for every port, and gives the listeners that are of use.
func (a *Access) check(ctx context.Context) (open []door, err error) {
	var first *postern.Error
	for _, d := range a.doors {
		why := a.refusal(ctx, d.wants())
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case why == nil:
			open = append(open, d)
			continue
		case !isRefusal(why): // the agent was refused itself, or the server is too old
			return nil, why
		}
		if first == nil {
			first = why
		}
		if p := d.wants(); p != nil {
			a.log.ErrorContext(ctx, "the server refuses the port", "to", p.String(), "error", why)
			if a.config.Refused != nil {
				a.config.Refused(*p, why)
			}
		}
		d.close()
	}
	if len(open) == 0 && first != nil {
		return nil, first
	}
	return open, nil
}

// refusal is why a port would be of no use; nil where it is, or may become so.
func (a *Access) refusal(ctx context.Context, p *Port) *postern.Error {
	if p == nil {
		return a.gatewayRefusal(ctx)
	}
	err := a.config.Dialer.Check(ctx, p.target())
	switch {
	case err == nil:
		return nil
	case postern.HasCode(err, postern.CodeGatewayPortClosed):
		a.log.WarnContext(ctx, "no connector offers the port now", "to", p.String())
		return nil
	case passes(err):
		a.log.WarnContext(ctx, "the server did not say whether the port is allowed", "to", p.String(), "error", err)
		return nil
	}
	return postern.AsError(err)
}

// gatewayRefusal tells whether proxies are of any use: whether the gateway exists. Which
// of its ports are allowed they learn as they are asked for them.
func (a *Access) gatewayRefusal(ctx context.Context) *postern.Error {
	err := a.config.Dialer.Check(ctx, link.GatewayPort{Gateway: a.config.Gateway, Network: postern.TCP, Port: 1})
	if err == nil || passes(err) || postern.HasCode(err, postern.CodeGatewayPortClosed) || postern.HasCode(err, postern.CodeAccessDenied) {
		return nil
	}
	return postern.AsError(err)
}

// isRefusal tells the server's word about a port from what keeps it from giving one.
func isRefusal(why *postern.Error) bool {
	return why.Code == postern.CodeAccessDenied || why.Code == postern.CodeGatewayUnknown
}

// passes tells of troubles of the moment.
func passes(err error) bool {
	switch postern.AsError(err).Code {
	case postern.CodeLinkLost, postern.CodeLinkDraining, postern.CodeServerBusy, postern.CodeStoreUnavailable,
		postern.CodeStreamLimit, postern.CodeStreamRefused, postern.CodeStreamReset, postern.CodeRequestTimeout, postern.CodeInternal:
		return true
	}
	return false
}

// refused logs a connection that did not come about: the same trouble once, until it is
// over or another.
func (a *Access) refused(ctx context.Context, p link.GatewayPort, err error) {
	code := postern.AsError(err).Code
	a.mu.Lock()
	known := a.told[p] == code
	if len(a.told) < 1024 || known {
		a.told[p] = code
	}
	a.mu.Unlock()
	level := slog.LevelWarn
	if known {
		level = slog.LevelDebug
	}
	a.log.Log(ctx, level, "a connection was refused", "to", targetText(p), "error", err)
}

// well forgets the trouble with a port.
func (a *Access) well(p link.GatewayPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.told, p)
}
