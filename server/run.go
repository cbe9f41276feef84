package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link/chisel"
)

const (
	// slack is what a phase has beyond what its parts wait for.
	slack = 8 * time.Second
	// mostTelling is over how long agents are told to move, at most.
	mostTelling = 5 * time.Second
)

// Run serves until ctx ends, then stops in order: not ready, so that load balancers
// look elsewhere; stop accepting; tell agents to move, spread out; let what is under
// way finish, for timeouts.drain at most; end the services; close the store. nil
// after an orderly stop.
func (s *Server) Run(ctx context.Context) error {
	ctx, s.finish = context.WithCancel(ctx)
	defer s.finish()
	// From the beginning to the end: a reload that is asked for at the wrong moment must
	// not end the process, as the signal otherwise does.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	drain := s.settings().Timeouts.Drain
	group := run.Group{Logger: s.log, Deadlines: map[run.Phase]time.Duration{
		run.TellAgents: mostTelling + slack,
		run.Drain:      drain + slack,
	}}
	group.Add("readiness", run.NotReady, s.becomeReady, s.becomeUnready)
	drained := make(chan error, 1)
	group.Add("edge", run.StopAccepting, s.serveEdge, func(ctx context.Context) error {
		// Visitors' idle connections end now, so that nobody sends another request while
		// agents leave; what is under way is waited for in its own phase.
		go s.drainEdge(context.WithoutCancel(ctx), drained)
		return nil
	})
	group.Add("gateways' ports", run.StopAccepting, nil, func(context.Context) error {
		s.gateways.StopAccepting()
		return nil
	})
	group.Add("agents", run.TellAgents, nil, func(ctx context.Context) error {
		s.control.Drain(ctx, min(mostTelling, s.settings().Timeouts.Drain/4))
		return nil
	})
	group.Add("traffic", run.Drain, nil, func(ctx context.Context) error {
		select {
		case err := <-drained:
			if err != nil {
				s.log.WarnContext(ctx, "what was under way at the end of timeouts.drain was cut")
			}
		case <-ctx.Done():
		}
		return nil
	})
	group.Add("gateways' traffic", run.Drain, nil, func(ctx context.Context) error {
		s.gateways.Drain(ctx, drain)
		return nil
	})
	s.addServices(&group, hangup)
	group.Add("store", run.StopStores, nil, func(context.Context) error { return s.Close() })
	return group.Run(ctx)
}

// addServices adds what traffic needs until its end.
func (s *Server) addServices(group *run.Group, hangup <-chan os.Signal) {
	group.Add("sessions", run.StopServices, nil, func(context.Context) error {
		s.control.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down"))
		return nil
	})
	group.Add("gateways", run.StopServices, s.gateways.Run, func(context.Context) error {
		s.gateways.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down"))
		return nil
	})
	group.Add("routes", run.StopServices, s.builder.Run, nil)
	group.Add("credentials", run.StopServices, func(ctx context.Context) error { return s.credentials.follow(ctx, s.bus) }, nil)
	group.Add("usage", run.StopServices, s.meters.Run, nil)
	group.Add("limits", run.StopServices, s.watchLimits, nil)
	group.Add("cloud endpoints", run.StopServices, s.watchClouds, nil)
	group.Add("error pages", run.StopServices, s.watchPages, nil)
	group.Add("doors", run.StopServices, s.watchDoors, nil)
	group.Add("shown certificates", run.StopServices, s.watchCertificates, nil)
	group.Add("certificates", run.StopServices, s.getCertificates, nil)
	if s.zones.server != nil {
		group.Add("zones", run.StopServices, s.watchZones, nil)
		group.Add("DNS", run.StopServices, s.serveDNS, nil)
	}
	group.Add("memory", run.StopServices, s.watchMemory, nil)
	group.Add("rest", run.StopServices, tendMemory, nil)
	group.Add("configuration", run.StopServices, func(ctx context.Context) error { return s.watchConfig(ctx, hangup) }, nil)
	group.Add("succession", run.StopServices, s.leave, nil)
	s.addHTTP(group, "bootstrap socket", s.socketServer(), s.socket)
	if s.listeners.admin != nil {
		s.addHTTP(group, "admin", s.adminServer(), s.listeners.admin)
	}
}

// addHTTP serves what is for operators, from when this process serves until another has
// taken over.
func (s *Server) addHTTP(group *run.Group, name string, server *http.Server, ln net.Listener) {
	stop := func(ctx context.Context) error {
		// What an operator still watches, such as a profile, is not waited for long.
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			return server.Close()
		}
		return nil
	}
	start := func(ctx context.Context) error {
		if !s.accepts(ctx) {
			return nil
		}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ln) }()
		select {
		case err := <-ended:
			return err
		case <-s.retired:
			_ = stop(ctx) // closing all is what remains where it failed
			<-ctx.Done()
			return nil
		}
	}
	group.Add(name, run.StopServices, start, stop)
}

// accepts waits until this process serves; false means that it ends before.
func (s *Server) accepts(ctx context.Context) bool {
	select {
	case <-s.serving:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) becomeReady(ctx context.Context) error {
	if !s.accepts(ctx) {
		return nil
	}
	s.ready.Store(true)
	c := s.settings()
	s.log.InfoContext(ctx, "server ready", "domain", c.Domain.String(), "https", s.HTTPSAddr().String(), "http", addressText(s.listeners.http),
		"ssh", addressText(s.listeners.ssh), "dns", addressText(s.listeners.dns), "admin", addressText(s.listeners.admin), "tcp_ports", c.Listen.TCPPorts.String(), "udp_ports", c.Listen.UDPPorts.String(), "data_dir", c.DataDir, "ca_file", s.CAFile(),
		"gateway_fingerprint", chisel.Fingerprint(s.hostKey.PublicKey()),
		"development", c.Development, "version", s.options.Version)
	s.log.InfoContext(ctx, "SSH clients are served", "host_keys", strings.Join(s.SSHFingerprints(), " "))
	if c.Development {
		s.log.InfoContext(ctx, "development mode, on this machine only; \"postern server bootstrap\" gives the first authtoken",
			"connect_url", s.HTTPSAddr().String(), "connect_cas", s.CAFile())
	}
	if s.options.Ready != nil {
		s.options.Ready()
	}
	for _, note := range c.Notes {
		s.log.WarnContext(ctx, note)
	}
	<-ctx.Done()
	return nil
}

func addressText(ln net.Listener) string {
	if ln == nil {
		return "off"
	}
	return addrPort(ln).String()
}

func (s *Server) becomeUnready(ctx context.Context) error {
	s.ready.Store(false)
	s.log.InfoContext(ctx, "shutting down", "drain", s.settings().Timeouts.Drain.String())
	return nil
}

// serveEdge serves every public listener until the edge is shut down; the first
// that fails is the result.
func (s *Server) serveEdge(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	serving := []func() error{func() error { return s.edge.ServeHTTPS(ctx, s.listeners.https) }}
	if s.listeners.http != nil {
		serving = append(serving, func() error { return s.edge.ServeHTTP(ctx, s.listeners.http) })
	}
	if s.listeners.agent != nil {
		serving = append(serving, func() error { return s.edge.ServeAgents(ctx, s.listeners.agent) })
	}
	if s.listeners.ssh != nil {
		serving = append(serving, func() error { return s.edge.ServeSSH(ctx, s.listeners.ssh) })
	}
	whole := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(serving))
	for _, serve := range serving {
		go func() { ended <- serve() }()
	}
	err := s.begin(ctx)
	if err != nil {
		cancel()
	}
	for range serving {
		err = errors.Join(err, <-ended)
		if s.isRetired() && err == nil {
			<-whole.Done() // what is under way goes on
		}
		cancel() // one listener less is no server: end the others, too
	}
	return err
}

func (s *Server) drainEdge(ctx context.Context, drained chan<- error) {
	ctx, cancel := context.WithTimeout(ctx, s.settings().Timeouts.Drain)
	defer cancel()
	drained <- s.edge.Drain(ctx) // Close cuts the rest, when agents have been told
}
