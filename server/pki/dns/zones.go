package dns

import (
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// Zone is the label below the server's domain that holds all targets; ACME is the one
// below it for those of challenges.
const (
	Zone = "dns"
	ACME = "acme"
)

// Region is a place by which visitors and agents reach the server.
type Region struct {
	Name      string
	Addresses []netip.Addr
}

// Target is a name to which a record of somebody else's zone points.
type Target struct {
	Name    postern.Hostname
	Regions []string // where it leads: none, or one that is "global", is everywhere
}

// Content is what zones are made of.
type Content struct {
	Domain      postern.Hostname   // dns.<Domain> is a zone
	NameServers []postern.Hostname // of all zones
	Regions     []Region
	Issuers     []string           // CAA values (RFC 8659 §4.2) for the tops of all zones; none: anybody
	Ingresses   []postern.Hostname // zones of their own
	Targets     []Target           // of visitors, below dns.<Domain>
	Challenges  []postern.Hostname // targets of challenges, below acme.dns.<Domain>
	Serial      uint32             // of this state; later ones have higher numbers (RFC 1982)
}

// Zones is what a Server says. It is not changed once it is made, and may be used
// concurrently. The zero value has no zone.
type Zones struct {
	tops  map[string]*zone // by their names, in lower case and with the dot at the end
	nodes map[string]node  // all names there are, the tops' among them
}

// zone is what stands at a zone's top.
type zone struct {
	name    string
	servers []string // of names
	contact string
	issuers []string
	serial  uint32
}

// node is a name. The zero value has no records: it is there because of names below it
// (RFC 8020), or for challenges to come.
type node struct {
	addresses []netip.Addr
	wild      bool // all names below it are the same
}

// NewZones makes zones. What lies in none of them, such as a target from before the
// server's domain was another, is left out.
func NewZones(c Content) *Zones {
	z := &Zones{tops: make(map[string]*zone), nodes: make(map[string]node)}
	if c.Domain == "" {
		return z
	}
	shared := zone{contact: "hostmaster." + fqdn(c.Domain), issuers: slices.Clone(c.Issuers), serial: c.Serial}
	for _, name := range c.NameServers {
		shared.servers = append(shared.servers, fqdn(name))
	}
	everywhere := addressesOf(c.Regions, nil)
	own := Zone + "." + fqdn(c.Domain)
	z.addZone(shared, own)
	for _, ingress := range c.Ingresses {
		z.addZone(shared, fqdn(ingress))
	}
	z.add(own, node{})
	z.add(ACME+"."+own, node{})
	for _, target := range c.Targets {
		z.add(fqdn(target.Name), node{addresses: addressesOf(c.Regions, target.Regions), wild: true})
	}
	for _, name := range c.Challenges {
		z.add(fqdn(name), node{})
	}
	for _, ingress := range c.Ingresses {
		z.add(fqdn(ingress), node{addresses: everywhere})
		for _, region := range c.Regions {
			z.add("tunnel."+region.Name+"."+fqdn(ingress), node{addresses: slices.Clone(region.Addresses)})
		}
	}
	return z
}

func (z *Zones) addZone(like zone, name string) {
	like.name = name
	z.tops[name] = &like
}

// add puts a name into its zone, and all names between the two, and those above the zone's
// top where that is within another zone. What is there with addresses keeps them.
func (z *Zones) add(name string, n node) {
	if in, _ := z.zoneOf(name); in == nil {
		return
	}
	if len(z.nodes[name].addresses) == 0 {
		z.nodes[name] = n
	}
	for at := parent(name); at != ""; at = parent(at) {
		if in, _ := z.zoneOf(at); in == nil {
			return
		}
		if _, there := z.nodes[at]; !there {
			z.nodes[at] = node{}
		}
	}
}

// zoneOf finds the innermost zone that a name is in, and where in the name its own
// begins; nil for none. The name is in lower case, with the dot at the end.
func (z *Zones) zoneOf(name string) (*zone, int) {
	for at, end := 0, false; !end; at, end = miekg.NextLabel(name, at) {
		if found := z.tops[name[at:]]; found != nil {
			return found, at
		}
	}
	return nil, 0
}

// find gives the node of a name in a zone whose own name begins at top, and the name
// that answers for it: itself, or the one above it whose names are all the same.
func (z *Zones) find(name string, top int) (n node, as string, found bool) {
	for at, end := 0, false; !end && at <= top; at, end = miekg.NextLabel(name, at) {
		n, there := z.nodes[name[at:]]
		switch {
		case there && (at == 0 || n.wild):
			return n, name[at:], true
		case there:
			return node{}, "", false // the closest name that there is (RFC 4592 §3.3.1)
		}
	}
	return node{}, "", false
}

// addressesOf gives the addresses of those regions that are named.
func addressesOf(regions []Region, named []string) []netip.Addr {
	everywhere := len(named) == 0 || slices.Contains(named, "global")
	var all []netip.Addr
	for _, region := range regions {
		if everywhere || slices.Contains(named, region.Name) {
			all = append(all, region.Addresses...)
		}
	}
	if all == nil && !everywhere {
		return addressesOf(regions, nil) // rather than nowhere, where those named are no longer configured
	}
	return all
}

func fqdn(name postern.Hostname) string { return string(name) + "." }

// parent is the name without its first label; "" for the root.
func parent(name string) string {
	at, end := miekg.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[at:]
}

// hostname is a name of the wire as Challenges have it; "" where it cannot be one.
func hostname(name string) postern.Hostname {
	host, err := postern.ParseHostname(strings.TrimSuffix(name, "."))
	if err != nil {
		return ""
	}
	return host
}
