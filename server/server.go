package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/cloud"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/handover"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/routebuild"
	"github.com/postern-dev/postern/server/service"
)

// Options are what the process around a server hands in. The zero value works: it
// logs nothing.
type Options struct {
	Logger  *slog.Logger
	Level   *slog.LevelVar // follows log.level at a reload; nil: the level stays
	Version string         // told to agents

	Stdout, Stderr io.Writer // of an access log; nil: the process's own

	// Listeners are those that the process was started with, named after the keys that
	// they are for. The server owns them.
	Listeners []handover.Listener

	// Ready is called once the server serves; nil: nobody wants to know.
	Ready func()

	// Upgrade has the server take over from the one that uses the data directory, if any,
	// without a visitor's noticing.
	Upgrade bool

	// Load reads the configuration again, at SIGHUP and when its file has changed;
	// nil: it never changes.
	Load func() (Config, error)
}

// Server is one node. Make one with New, then Run it, once.
type Server struct {
	options Options
	log     *slog.Logger
	dir     *dataDir
	*state
	succession
	listeners   *listeners
	socket      net.Listener // bootstrap's
	bus         *event.Bus
	cluster     *cluster.Local
	clouds      clouds
	routes      *route.Current
	builder     *routebuild.Builder
	edge        *edge.Edge
	policies    *policy.Library
	outcalls    *outcall.Client // what policies have the server call
	world       policy.World    // what policies may use
	places      *places         // nil: nobody knows where visitors are
	api         *api.API
	doors       access.Current    // who may come from where
	pages       errorpage.Current // of reserved domains
	authorities authorities       // that accounts have uploaded
	control     *control.Control
	gateways    *gateway.Runtime
	hostKey     ssh.Signer // of gateways
	credentials *liveCredentials
	certificates
	sshHost  *sshHost
	access   *accessLog
	meters   *quota.Meters
	registry *prometheus.Registry
	memory   needed
	zones    zones

	ready    atomic.Bool
	closing  sync.Once
	rotating sync.Mutex // held while keys are rotated
	config   Config     // as of the start: for keys that need a restart
	mu       sync.Mutex // held while the configuration changes
	inForce  Config     // see settings
}

// New opens the data directory and binds every listener, so that what cannot work
// fails here and not later. Nothing is served before Run. Who does not Run must
// Close.
func New(c Config, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		options: o, log: o.Logger, config: c, inForce: c,
		bus: event.NewBus(), cluster: cluster.New(), routes: &route.Current{},
		access:     &accessLog{stdout: writer(o.Stdout, os.Stdout), stderr: writer(o.Stderr, os.Stderr), out: io.Discard},
		registry:   prometheus.NewRegistry(),
		meters:     quota.New(),
		policies:   newPolicies(c.Geo),
		outcalls:   newOutcalls(c),
		succession: succession{serving: make(chan struct{}), retired: make(chan struct{}), finish: func() {}},
	}
	s.meters.SetDefaults(quotaDefaults(c))
	s.cluster.Measure(s.meters)
	s.cluster.Obey(s.compilePolicy)
	if err := s.assemble(context.Background()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func writer(w, otherwise io.Writer) io.Writer {
	if w == nil {
		return otherwise
	}
	return w
}

// assemble makes the parts, from the data directory to the edge.
func (s *Server) assemble(ctx context.Context) error {
	if s.options.Upgrade {
		if err := s.takeOver(ctx); err != nil {
			return err
		}
	}
	var err error
	if s.taker != nil {
		s.dir, err = inheritDataDir(s.config.DataDir, s.taker.Lock)
	} else {
		s.dir, err = openDataDir(s.config.DataDir)
	}
	if err != nil {
		return err
	}
	if s.listeners, err = listen(ctx, s.config, s.inherited()); err != nil {
		return err
	}
	if s.hostKey, err = s.dir.hostKey(); err != nil {
		return err
	}
	if s.state, err = openState(ctx, s.dir, s.config, s.bus, s.publicPorts(), s.cluster, s.gatewayConfig(), s.recordChecks(), s.log); err != nil {
		return err
	}
	if s.places, err = openPlaces(s.config.Geo); err != nil {
		return err
	}
	if all, err := s.service.AllLimits(ctx); err == nil { // else watchLimits asks again
		s.meters.OverrideAll(all)
	}
	if err := s.readDoors(ctx); err != nil { // nobody is served who would be refused
		return err
	}
	if err := s.readPages(ctx); err != nil { // nobody is let in who would be sent away
		return err
	}
	if err := s.openCertificates(); err != nil {
		return err
	}
	if err := s.readCertificates(ctx, nil); err != nil {
		return err
	}
	if s.sshHost, err = openSSHHost(s.dir, s.config.SSH.HostCertificates, s.log); err != nil {
		return err
	}
	if s.socket = find(s.inherited(), socketName, socketName); s.socket == nil {
		if s.socket, err = s.dir.listenSocket(); err != nil {
			return err
		}
	}
	s.closeUnused()
	if err := s.openDNS(ctx); err != nil {
		return err
	}
	if err := s.assembleTraffic(ctx); err != nil {
		return err
	}
	return s.openPeers()
}

// assembleTraffic makes what visitors and agents meet.
func (s *Server) assembleTraffic(ctx context.Context) error {
	s.registry.MustRegister(s.meters, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_store_writable", Help: "1 if the last write to the store worked, else 0."}, s.store.writable))
	access, err := s.access.open(s.config.AccessLog)
	if err != nil {
		return err
	}
	key, err := s.dir.key(signingName)
	if err != nil {
		return err
	}
	if err := s.openGateways(ctx, access); err != nil {
		return err
	}
	s.world = s.policyWorld()
	if s.api, err = api.New(s.apiConfig()); err != nil {
		return err
	}
	s.edge = edge.New(s.edgeConfig(access))
	s.outcalls.SetInside(s.edge)
	s.clouds.Endpoints = cloud.New(cloud.Config{Ports: s.edge, Compile: s.compileCloud, Meters: s.meters, Logger: s.log})
	s.builder = routebuild.New(routebuild.Config{Source: s.cluster, Cloud: s.clouds.Endpoints, Current: s.routes, Logger: s.log})
	s.control = control.New(s.controlConfig(key))
	s.registerMemory()
	return nil
}

func (s *Server) apiConfig() api.Config {
	return api.Config{Service: s.service, Live: live{s}, Gateways: liveGateways{s}, Access: &s.doors, Policy: s.world, URL: s.config.apiURL(s.publicPorts().HTTPS), Version: s.options.Version,
		RequestsPerMinute: s.config.Limits.APIRequests, Concurrent: s.config.Limits.APIConcurrent,
		WrongKeys: func() int { return s.settings().Limits.FailuresPerMinute }, AllowedOrigins: s.config.APIOrigins, Logger: s.log}
}

func (s *Server) edgeConfig(access *slog.Logger) edge.Config {
	c, live := s.config, edgeLive(s.config, access)
	public := s.publicPorts()
	live.Limits.HeaderBytes, live.Limits.HTTP2Streams = c.Limits.HeaderBytes, c.Limits.HTTP2Streams
	return edge.Config{
		Domain:          c.Domain,
		EndpointsDomain: c.EndpointsDomain,
		Access:          &s.doors,
		Pages:           &s.pages,
		Hosts:           map[postern.Hostname]http.Handler{"api." + c.Domain: s.api},
		Connectors:      s.gateways,
		Routes:          s.routes,
		Recent:          s.cluster.Recent(),
		Certificate:     s.certificate,
		Challenges:      s.challenges,
		Policy:          s.world,
		Region:          c.Region,
		Authorities:     s.authorities.find,
		// control is made after the edge, whose ports it opens; nobody is served before
		// both are there.
		Agents:         func(ctx context.Context, conn net.Conn, alpn string) { s.control.Serve(ctx, conn, alpn) },
		Public:         edge.PublicPorts{HTTPS: public.HTTPS, HTTP: public.HTTP},
		PortAddr:       portAddr(c),
		ProxyProtocol:  proxyListeners(c.ProxyProtocol),
		Limits:         live.Limits,
		Timeouts:       live.Timeouts,
		TrustedProxies: live.TrustedProxies,
		NetHTTPOnly:    c.HTTP1 == HTTP1Standard,
		AccessLog:      live.AccessLog,
		Metrics:        s.registry,
		Logger:         s.log,
	}
}

// edgeLive is the part of the edge's configuration that a reload changes.
func edgeLive(c Config, access *slog.Logger) edge.Live {
	return edge.Live{
		Limits: edge.Limits{Connections: c.Limits.Connections, ConnectionsPerAddress: c.Limits.ConnectionsPerAddress,
			LeastRate: leastRate(c)},
		Timeouts: edge.Timeouts{Handshake: c.Timeouts.Handshake, RequestHeader: c.Timeouts.RequestHeader, Idle: c.Timeouts.Idle,
			Patience: c.Timeouts.Patience, Transfer: c.Timeouts.Transfer, ResponseHeader: c.Timeouts.ResponseHeader},
		TrustedProxies: c.TrustedProxies,
		AccessLog:      access,
	}
}

// leastRate is the edge's form of the setting, in which 0 is the default.
func leastRate(c Config) int64 {
	if c.Limits.LeastRate == 0 {
		return -1
	}
	return int64(c.Limits.LeastRate)
}

func proxyListeners(names []string) edge.ProxyListeners {
	var on edge.ProxyListeners
	for _, name := range names {
		switch name {
		case "https":
			on.HTTPS = true
		case "http":
			on.HTTP = true
		case "agent":
			on.Agents = true
		case "ssh":
			on.SSH = true
		case "tcp":
			on.Ports = true
		}
	}
	return on
}

func (s *Server) controlConfig(key []byte) control.Config {
	c := s.config
	return control.Config{
		Access:       &s.doors,
		Gateways:     s.gateways,
		Certificates: agentCertificates{s},
		Policies:     s.policies,
		Authority:    s.checkAuthority,
		Service:      s.service, Cluster: s.cluster, Routes: s.builder, Ports: s.edge,
		Domain: c.Domain, EndpointsDomain: c.EndpointsDomain, Public: s.publicPorts(),
		TCPPorts:    control.PortRange(c.Listen.TCPPorts),
		UDPPorts:    control.PortRange(c.Listen.UDPPorts),
		Region:      c.Region,
		Version:     s.options.Version,
		SSHHostKeys: s.sshHost.signers,
		SigningKey:  key, Limits: controlLimits(c), Meters: s.meters, Authentications: c.Limits.Authentications,
		AuthTimeout: c.Timeouts.Authentication,
		Metrics:     s.registry, Logger: s.log,
	}
}

func controlLimits(c Config) control.Limits {
	return control.Limits{SessionsPerAccount: c.Limits.SessionsPerAccount, EndpointsPerSession: c.Limits.EndpointsPerSession,
		FailuresPerMinute: c.Limits.FailuresPerMinute}
}

// quotaDefaults are the limits of accounts and credentials that have none of their own.
func quotaDefaults(c Config) quota.Defaults {
	account := c.Limits.Account
	account.Sessions = int64(c.Limits.SessionsPerAccount)
	return quota.Defaults{Account: account, Credential: c.Limits.Credential}
}

// publicPorts are those of the configuration, else those that were bound.
func (s *Server) publicPorts() control.PublicPorts {
	ports := control.PublicPorts{HTTPS: s.config.Public.HTTPS, HTTP: s.config.Public.HTTP}
	if ports.HTTPS == 0 {
		ports.HTTPS = port(s.listeners.https)
	}
	if s.listeners.http == nil {
		ports.HTTP = 0
	} else if ports.HTTP == 0 {
		ports.HTTP = port(s.listeners.http)
	}
	return ports
}

// HTTPSAddr is where visitors and agents connect.
func (s *Server) HTTPSAddr() netip.AddrPort { return addrPort(s.listeners.https) }

// HTTPAddr is where visitors of http endpoints connect; the zero value for nowhere.
func (s *Server) HTTPAddr() netip.AddrPort { return addrPort(s.listeners.http) }

// AgentAddr is the extra listener of agents; the zero value for none.
func (s *Server) AgentAddr() netip.AddrPort { return addrPort(s.listeners.agent) }

// SSHAddr is the extra listener of SSH clients; the zero value for none.
func (s *Server) SSHAddr() netip.AddrPort { return addrPort(s.listeners.ssh) }

// SSHFingerprints are those of the SSH host keys, as clients show them.
func (s *Server) SSHFingerprints() []string { return s.sshHost.fingerprints() }

// AdminAddr is where metrics and health are; the zero value for nowhere.
func (s *Server) AdminAddr() netip.AddrPort { return addrPort(s.listeners.admin) }

// CAFile is the root certificate that clients need; "" in the modes files and acme.
func (s *Server) CAFile() string {
	if s.ca == nil || s.config.TLS.Mode == ModeACME {
		return ""
	}
	return s.ca.RootFile()
}

// Control gives the operations on live sessions.
func (s *Server) Control() *control.Control { return s.control }

// Service gives the use cases: credentials, names, ports.
func (s *Server) Service() *service.Service { return s.service }

// Close gives everything back. Run does it at its end; a second call does nothing.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() { err = s.close() })
	return err
}

// close takes down what assemble had made, in the reverse order.
func (s *Server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var failures []error
	if s.peers != nil {
		failures = append(failures, s.peers.Close())
	}
	if s.control != nil {
		s.control.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down"))
	}
	if s.gateways != nil {
		s.gateways.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down"))
	}
	if s.edge != nil {
		ended, now := context.WithCancel(ctx)
		now() // who wants to drain has drained
		_ = s.edge.Shutdown(ended)
	}
	s.outcalls.Close()
	if s.socket != nil {
		_ = s.socket.Close()
	}
	if s.taker != nil {
		s.taker.Close()
	}
	if s.listeners != nil {
		s.listeners.close()
	}
	s.certificates.close()
	if s.state != nil {
		failures = append(failures, s.state.close(ctx))
	}
	s.bus.Close()
	failures = append(failures, s.access.close())
	if s.dir != nil {
		failures = append(failures, s.dir.close())
	}
	return errors.Join(failures...)
}
