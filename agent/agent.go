package agent

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/agent/termination"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
)

// Config makes an Agent. Server (or Servers) and Authtoken are required.
type Config struct {
	Server    string         // host[:port]; without a port, 443
	Servers   []string       // several addresses of the same server, tried in turn; they win over Server
	CAs       string         // who may vouch for the server: "" or "trusted" is this system and SavedCAs, "host" this system alone, else a PEM file
	SavedCAs  string         // PEM file of who may as well; one that is not there is no error
	Roots     *x509.CertPool // the same, already loaded; it wins over CAs
	Authtoken postern.Secret
	Transport session.Transport   // session.Auto takes the first that works
	Proxy     postern.Secret      // URL of the proxy to the server; "" is the environment's
	Env       func(string) string // where https_proxy and its like are looked up; nil: nowhere
	Metadata  string              // of the session, for its operator
	Region    string              // that old configurations ask for; a server that is elsewhere is warned of
	ACME      termination.ACME    // where certificates of endpoints that end TLS here come from; the zero value: from the server
	Endpoints []Endpoint          // may be empty: the agent stays connected
	Events    Events
	Logger    *slog.Logger // nil: silent

	ConnectTimeout   time.Duration // of one attempt to make a session; 0 is 10 seconds
	ConnectInterface string        // name or address of the network interface to the server; "" is the system's choice
	DNSResolvers     []netip.Addr  // asked for the server's address instead of the system's
	Heartbeat        time.Duration // told to the server; 0 is what the agent does, see session.PingInterval
	Tolerance        time.Duration // told to the server; 0 is session.PingPatience

	Management session.Management // what the server's operator may do to the agent
	Tap        session.Tap        // looks at http endpoints but those with NoInspect; nil: nobody does
	Meter      session.Meter      // hears of every stream; nil: nobody does

	Version    string // of the program, e.g. "1.2.3"
	ClientType string // "" is "postern"

	// DrainTimeout is how long open connections may take to finish at the end; 0 is
	// 30 seconds.
	DrainTimeout time.Duration
}

// Online is an endpoint that visitors reach now.
type Online struct {
	Name     string
	Label    string // Name, or "NAME (http)" for the twin of an https endpoint
	URL      string // as visitors type it
	Upstream string // where its traffic goes; "" for an endpoint with a Handler
}

// Agent keeps endpoints online. Make one with New.
type Agent struct {
	config  Config
	session *session.Supervisor

	// changing is held while endpoints are added, changed or removed, the server's
	// answers included; mu guards what it changes.
	changing sync.Mutex
	mu       sync.Mutex
	known    map[string]known // by endpoint name
	heard    []*Events
	foreign  map[string]bool // regions of which was warned
}

// New checks everything that can be checked without the server: its address, the
// token's presence, every endpoint's upstream and certificates. Errors are
// *postern.Error: CodeNoServer, CodeNoToken, CodeUpstreamAddressInvalid,
// CodeConfigInvalid, CodeFlagInvalid, CodeFileUnreadable. Nothing is sent before Run.
func New(c Config) (*Agent, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Agent{config: c, known: map[string]known{}, foreign: map[string]bool{}, heard: []*Events{&c.Events}}
	if c.Authtoken == "" && (c.Server != "" || len(c.Servers) > 0) {
		return nil, &postern.Error{Code: postern.CodeNoToken}
	}
	connect, err := connector(c)
	if err != nil {
		return nil, err
	}
	if a.config.ACME.Dial, err = c.wayToACME(); err != nil {
		return nil, err
	}
	endpoints := make([]session.Endpoint, 0, len(c.Endpoints))
	for _, e := range c.Endpoints {
		k, err := a.prepare(e)
		if err != nil {
			return nil, err
		}
		if _, twice := a.known[e.Name]; twice {
			return nil, postern.Errorf(postern.CodeConflict, "tunnel %q is there twice", e.Name)
		}
		k.configured = true
		a.known[e.Name] = k
		endpoints = append(endpoints, k.assembled)
	}
	a.session = session.New(session.Config{
		Connect:      connect,
		Hello:        c.Hello(),
		Endpoints:    endpoints,
		Events:       a.events(),
		Logger:       c.Logger,
		Meter:        c.Meter,
		Management:   c.Management,
		DrainTimeout: c.DrainTimeout,
	})
	return a, nil
}

// Run keeps the endpoints online until ctx ends, then drains and returns nil. It
// returns an error only where the server definitely refused the first session, or
// every endpoint in it. Run may be called once.
func (a *Agent) Run(ctx context.Context) error { return a.session.Run(ctx) }

// Stop makes Run drain and return.
func (a *Agent) Stop() { a.session.Stop() }

// Status is a snapshot of the session.
func (a *Agent) Status() session.Status { return a.session.Status() }

// connector makes what reaches the server, at one address or at several.
func connector(c Config) (session.Connect, error) {
	if len(c.Servers) < 2 {
		dialer, err := NewDialer(c)
		if err != nil {
			return nil, err
		}
		return dialer.Connect, nil
	}
	several := &session.Several{Logger: c.Logger}
	for _, server := range c.Servers {
		one := c
		one.Server, one.Servers = server, nil
		dialer, err := NewDialer(one)
		if err != nil {
			return nil, err
		}
		several.Dialers = append(several.Dialers, dialer)
	}
	return several.Connect, nil
}

// NewDialer makes what reaches the server that c names, the first of several, without
// an agent; c's token and endpoints do not matter. Errors are New's.
func NewDialer(c Config) (*session.Dialer, error) {
	if len(c.Servers) > 0 {
		c.Server = c.Servers[0]
	}
	if c.Server == "" {
		return nil, &postern.Error{Code: postern.CodeNoServer}
	}
	server, err := session.ParseServer(c.Server)
	if err != nil {
		return nil, err
	}
	roots := c.Roots
	if roots == nil {
		if roots, err = dial.ServerPool(c.CAs, c.SavedCAs); err != nil {
			return nil, err
		}
	}
	proxy, err := c.proxy(server)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		proxy.Roots = roots
	}
	return &session.Dialer{
		Server: server, Roots: roots, Transport: c.Transport, UserAgent: c.userAgent(),
		Net: dial.Dialer{
			Proxy: proxy, Resolver: dial.Resolver(c.DNSResolvers), Interface: c.ConnectInterface, Timeout: c.ConnectTimeout,
		},
		Patience: c.ConnectTimeout, Logger: c.Logger,
	}, nil
}

// proxy is the way out that was asked for, else the environment's.
func (c *Config) proxy(server string) (*dial.Proxy, error) {
	switch {
	case c.Proxy != "":
		return dial.ParseProxy("proxy_url", c.Proxy.Reveal())
	case c.Env != nil:
		return dial.ProxyFromEnvironment(c.Env, server)
	}
	return nil, nil
}

// wayToACME is the way out to the ACME server: as to the Postern server.
func (c *Config) wayToACME() (dial.Dialer, error) {
	way := dial.Dialer{Resolver: dial.Resolver(c.DNSResolvers), Interface: c.ConnectInterface}
	to, err := url.Parse(c.ACME.Directory)
	if err != nil || to.Host == "" {
		return way, nil // none of its own
	}
	way.Proxy, err = c.proxy(net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), "443")))
	return way, err
}

func (c *Config) clientType() string { return cmp.Or(c.ClientType, "postern") }

func (c *Config) userAgent() string { return fmt.Sprintf("%s/%s", c.clientType(), c.Version) }

// Hello is what an agent says of itself.
func (c *Config) Hello() link.Hello {
	// Without a name the server's operator sees the address only.
	hostname, _ := os.Hostname()
	return link.Hello{
		Token: c.Authtoken,
		Agent: postern.AgentInfo{
			ClientType: c.clientType(),
			UserAgent:  c.userAgent(),
			Version:    c.Version,
			OS:         runtime.GOOS,
			Arch:       runtime.GOARCH,
			Hostname:   hostname,
			Metadata:   c.Metadata,
		},
		Heartbeat:   cmp.Or(c.Heartbeat, session.PingInterval),
		Tolerance:   cmp.Or(c.Tolerance, session.PingPatience),
		Unsupported: c.Management.Unsupported(),
	}
}
