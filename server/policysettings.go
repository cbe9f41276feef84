package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/geo"
)

// Geo names the files by which policies know where visitors come from.
type Geo struct {
	File   string // of cities or countries; "" for none
	ASFile string // of autonomous systems; "" for none
}

// Outcalls says which addresses policies may have the server call.
type Outcalls struct {
	Allow []netip.Prefix // besides the public ones
}

func policySettings() []Setting {
	return []Setting{
		scalar("geo.file", "FILE", "A database in MaxMind's format of cities or countries, such as GeoLite2-City.mmdb, by which policies know where visitors are; it is read again when it is replaced.",
			func(c *Config) *string { return &c.Geo.File }, anyText, plain),
		scalar("geo.as_file", "FILE", "A database in MaxMind's format of autonomous systems, such as GeoLite2-ASN.mmdb, by which policies know whose addresses are; it is read again when it is replaced.",
			func(c *Config) *string { return &c.Geo.ASFile }, anyText, plain),
		sequence("outcalls.allow", "NETWORK", "Networks that policies may have the server call (http-request, the keys of jwt-validation) besides the public internet, such as 10.1.2.0/24. Every account of the server can then reach them.",
			func(c *Config) *[]netip.Prefix { return &c.Outcalls.Allow }, parseCalled, netip.Prefix.String).live(),
	}
}

func parseCalled(s string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(s)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.1.2.0/24 or fd00:1::/64", clip(s))
	}
	return network.Masked(), nil
}

// newOutcalls makes what calls for policies.
func newOutcalls(c Config) *outcall.Client {
	config := outcall.Config{Allow: c.Outcalls.Allow, Ports: []uint16{c.Public.HTTPS, c.Public.HTTP}}
	for _, address := range []string{c.Listen.HTTPS, c.Listen.HTTP} {
		if _, text, err := net.SplitHostPort(address); err == nil {
			if port, err := strconv.ParseUint(text, 10, 16); err == nil {
				config.Ports = append(config.Ports, uint16(port))
			}
		}
	}
	if len(c.DNS.Resolvers) > 0 {
		config.Resolver = c.DNS.resolver()
	}
	return outcall.New(config)
}

// places are the operator's files, as policies look into them.
type places struct{ cities, systems *geo.File }

// openPlaces reads the files; nil without any.
func openPlaces(names Geo) (p *places, err error) {
	if names == (Geo{}) {
		return nil, nil
	}
	p = &places{}
	if names.File != "" {
		if p.cities, err = geo.Open(names.File); err != nil {
			return nil, err
		}
	}
	if names.ASFile != "" {
		if p.systems, err = geo.Open(names.ASFile); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Place implements policy.Places.
func (p *places) Place(addr netip.Addr) (at, registered geo.Place) { return p.cities.Place(addr) }

// System implements policy.Places.
func (p *places) System(addr netip.Addr) geo.System { return p.systems.System(addr) }

// reloadPlaces reads changed files again.
func (s *Server) reloadPlaces(ctx context.Context) {
	if s.places == nil {
		return
	}
	for _, file := range []*geo.File{s.places.cities, s.places.systems} {
		if file == nil {
			continue
		}
		switch changed, err := file.Reload(); {
		case err != nil:
			s.log.WarnContext(ctx, "the new database of places is refused; the old one stays in force", "error", postern.AsError(err))
		case changed:
			s.log.InfoContext(ctx, "database of places read again")
		}
	}
}
