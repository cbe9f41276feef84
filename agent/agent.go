package agent

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
)

// Config makes an Agent. Server and Authtoken are required.
type Config struct {
	Server    string         // host[:port]; without a port, 443
	CAs       string         // who may vouch for the server: "" or "trusted" or "host" is this system, else a PEM file
	Roots     *x509.CertPool // the same, already loaded; it wins over CAs
	Authtoken postern.Secret
	Transport session.Transport   // session.Auto takes the first that works
	Proxy     postern.Secret      // URL of the proxy to the server; "" is the environment's
	Env       func(string) string // where https_proxy and its like are looked up; nil: nowhere
	Metadata  string              // of the session, for its operator
	Endpoints []Endpoint
	Events    Events
	Logger    *slog.Logger // nil: silent

	Version    string // of the program, e.g. "1.2.3"
	ClientType string // "" is "postern"

	// DrainTimeout is how long open connections may take to finish at the end; 0 is
	// 30 seconds.
	DrainTimeout time.Duration
}

// Events tell what happens. They are called one at a time and must not block; nil
// functions are not called.
type Events struct {
	Status  func(session.Status)
	Online  func(Online)
	Refused func(name string, why *postern.Error) // asked for again from time to time
	Stopped func(name string, why *postern.Error) // taken offline by the server, for good
}

// Online is an endpoint that visitors reach now.
type Online struct {
	Name     string
	URL      string // as visitors type it
	Upstream string // where its traffic goes; "" for an endpoint with a Handler
}

// Agent keeps endpoints online. Make one with New.
type Agent struct {
	config    Config
	session   *session.Supervisor
	upstreams map[string]string // by endpoint name
}

// New checks everything that can be checked without the server: its address, the
// token's presence, every endpoint's upstream and certificates. Errors are
// *postern.Error: CodeNoServer, CodeNoToken, CodeUpstreamAddressInvalid,
// CodeConfigInvalid, CodeFlagInvalid. Nothing is sent before Run.
func New(c Config) (*Agent, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Agent{config: c, upstreams: map[string]string{}}
	dialer, err := a.dialer()
	if err != nil {
		return nil, err
	}
	endpoints := make([]session.Endpoint, 0, len(c.Endpoints))
	for _, e := range c.Endpoints {
		assembled, err := e.assemble(c.Logger)
		if err != nil {
			return nil, err
		}
		a.upstreams[e.Name] = assembled.Address
		endpoints = append(endpoints, assembled)
	}
	a.session = session.New(session.Config{
		Connect:      dialer.Connect,
		Hello:        a.hello(),
		Endpoints:    endpoints,
		Events:       a.events(),
		Logger:       c.Logger,
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

func (a *Agent) dialer() (*session.Dialer, error) {
	if a.config.Server == "" {
		return nil, &postern.Error{Code: postern.CodeNoServer}
	}
	if a.config.Authtoken == "" {
		return nil, &postern.Error{Code: postern.CodeNoToken}
	}
	return NewDialer(a.config)
}

// NewDialer makes what reaches the server that c names, without an agent; c's token
// and endpoints do not matter. Errors are New's.
func NewDialer(c Config) (*session.Dialer, error) {
	if c.Server == "" {
		return nil, &postern.Error{Code: postern.CodeNoServer}
	}
	server, err := session.ParseServer(c.Server)
	if err != nil {
		return nil, err
	}
	roots := c.Roots
	if roots == nil {
		if roots, err = dial.Pool(c.CAs); err != nil {
			return nil, err
		}
	}
	proxy, err := c.proxy(server)
	if err != nil {
		return nil, err
	}
	return &session.Dialer{
		Server: server, Roots: roots, Transport: c.Transport, UserAgent: c.userAgent(),
		Net: dial.Dialer{Proxy: proxy}, Logger: c.Logger,
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

func (c *Config) clientType() string { return cmp.Or(c.ClientType, "postern") }

func (c *Config) userAgent() string { return fmt.Sprintf("%s/%s", c.clientType(), c.Version) }

func (a *Agent) hello() link.Hello { return a.config.Hello() }

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
		Heartbeat:   session.PingInterval,
		Tolerance:   session.PingPatience,
		Unsupported: session.Unsupported(),
	}
}

func (a *Agent) events() session.Events {
	e := a.config.Events
	events := session.Events{Status: e.Status, Refused: e.Refused, Stopped: e.Stopped}
	if e.Online != nil {
		events.Bound = func(name string, b link.Bound) {
			e.Online(Online{Name: name, URL: b.PublicURL, Upstream: a.upstreams[name]})
		}
	}
	return events
}
