package server

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/dns"
	"github.com/postern-dev/postern/server/service"
)

// zones are what the server tells resolvers.
type zones struct {
	server *dns.Server // nil: listen.dns is empty

	mu        sync.Mutex
	config    Config // in force
	ingresses map[postern.Hostname]postern.AccountID
	targets   []service.DomainTarget
}

// openDNS makes the server of the zones, and its first zones.
func (s *Server) openDNS(ctx context.Context) error {
	if s.listeners.dns == nil {
		return nil
	}
	s.zones.server = dns.New(dns.Config{Challenges: s.challenges, PerSecond: s.config.DNS.AnswersPerSecond, Metrics: s.registry, Logger: s.log})
	s.zones.config = s.config
	return s.readZones(ctx)
}

// serveDNS answers from when this process serves until another has taken over.
func (s *Server) serveDNS(ctx context.Context) error {
	if !s.accepts(ctx) {
		return nil
	}
	answering, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.retired:
			cancel()
		case <-answering.Done():
		}
	}()
	err := s.zones.server.Serve(answering, s.listeners.datagrams, s.listeners.dns)
	if err == nil {
		<-ctx.Done() // what is under way elsewhere goes on
	}
	return err
}

// watchZones has the zones made anew when an ingress or a domain comes, changes or goes.
func (s *Server) watchZones(ctx context.Context) error {
	return s.follow(ctx, "agent ingresses and domains cannot be read; DNS answers are those known last", s.readZones,
		event.IngressCreated, event.IngressUpdated, event.IngressDeleted,
		event.DomainCreated, event.DomainUpdated, event.DomainDeleted)
}

// readZones puts into force what the store has.
func (s *Server) readZones(ctx context.Context) error {
	ingresses, err := s.service.Ingresses(ctx)
	if err != nil {
		return err
	}
	targets, err := s.service.DomainTargets(ctx)
	if err != nil {
		return err
	}
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.ingresses, s.zones.targets = ingresses, targets
	s.setZones()
	return nil
}

// reloadZones puts a configuration into force.
func (s *Server) reloadZones(c Config) {
	if s.zones.server == nil {
		return
	}
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.config = c
	s.zones.server.SetLimit(c.DNS.AnswersPerSecond)
	s.setZones()
}

// setZones makes the zones of what was read last; zones.mu is held.
func (s *Server) setZones() {
	c := s.zones.config
	content := dns.Content{
		Domain: c.Domain, NameServers: c.NameServers(), Issuers: c.DNS.Issuers,
		Challenges: []postern.Hostname{s.service.ChallengeTarget()},
		Serial:     uint32(time.Now().Unix()), //nolint:gosec // it goes round (RFC 1982)
	}
	for _, region := range c.Regions {
		content.Regions = append(content.Regions, dns.Region(region))
	}
	for ingress := range s.zones.ingresses {
		content.Ingresses = append(content.Ingresses, ingress)
	}
	for _, target := range s.zones.targets {
		content.Targets = append(content.Targets, dns.Target{Name: target.CNAME, Regions: target.ResolvesTo})
		if target.ACME != "" {
			content.Challenges = append(content.Challenges, target.ACME)
		}
	}
	s.zones.server.SetZones(dns.NewZones(content))
}

// DNSAddr is where resolvers ask, over UDP and TCP; the zero value for nowhere.
func (s *Server) DNSAddr() netip.AddrPort { return addrPort(s.listeners.dns) }
