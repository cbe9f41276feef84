package server

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/postern-dev/postern/server/pki/dnscheck"
	"github.com/postern-dev/postern/server/service"
)

// recordChecks is what checks of other people's DNS records go by.
func (s *Server) recordChecks() service.RecordChecks {
	c := s.config
	checks := service.RecordChecks{
		Resolver: func() dnscheck.Resolver { return dnscheck.Resolver{Recursive: s.settings().DNS.Resolvers} },
		NoZone:   c.Listen.DNS == "",
	}
	for _, region := range c.Regions {
		checks.Regions = append(checks.Regions, dnscheck.Region(region))
	}
	return checks
}

// resolver is what asks those of dns.resolvers, or the system's.
func (d DNS) resolver() *net.Resolver {
	if len(d.Resolvers) == 0 {
		return net.DefaultResolver
	}
	var tried atomic.Uint32
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		at := d.Resolvers[int(tried.Add(1)-1)%len(d.Resolvers)] // another each time, as one that is silent is asked for twice
		return (&net.Dialer{}).DialContext(ctx, network, at.String())
	}}
}
