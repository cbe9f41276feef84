package agent

import (
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
	Metadata  string // of the session, for its operator
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
	server, err := session.ParseServer(a.config.Server)
	if err != nil {
		return nil, err
	}
	roots := a.config.Roots
	if roots == nil {
		if roots, err = dial.Pool(a.config.CAs); err != nil {
			return nil, err
		}
	}
	return &session.Dialer{Server: server, Roots: roots, Logger: a.config.Logger}, nil
}

func (a *Agent) hello() link.Hello {
	client := a.config.ClientType
	if client == "" {
		client = "postern"
	}
	// Without a name the server's operator sees the address only.
	hostname, _ := os.Hostname()
	return link.Hello{
		Token: a.config.Authtoken,
		Agent: postern.AgentInfo{
			ClientType: client,
			UserAgent:  fmt.Sprintf("%s/%s", client, a.config.Version),
			Version:    a.config.Version,
			OS:         runtime.GOOS,
			Arch:       runtime.GOARCH,
			Hostname:   hostname,
			Metadata:   a.config.Metadata,
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
