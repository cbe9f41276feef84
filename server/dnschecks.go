package server

import (
	"context"
	"net"
	"net/url"
	"strings"
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
		Issuers:  func() []string { return issuers(s.settings().directories()) },
		Mended: func() {
			if s.manager != nil {
				s.manager.Wake()
			}
		},
	}
	for _, region := range c.Regions {
		checks.Regions = append(checks.Regions, dnscheck.Region(region))
	}
	return checks
}

// issuers are the names by which CAA records know the authorities behind ACME directories;
// none where one of them is not known, for then CAA records cannot be judged.
func issuers(directories []string) []string {
	var all []string
	for _, directory := range directories {
		at, err := url.Parse(directory)
		if err != nil {
			return nil
		}
		switch host := at.Hostname(); {
		case host == "letsencrypt.org" || strings.HasSuffix(host, ".letsencrypt.org"):
			all = append(all, "letsencrypt.org")
		case host == "acme.zerossl.com":
			all = append(all, "sectigo.com")
		case strings.HasSuffix(host, ".pki.goog"):
			all = append(all, "pki.goog")
		case strings.HasSuffix(host, ".ssl.com"):
			all = append(all, "ssl.com")
		default:
			return nil
		}
	}
	return all
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
