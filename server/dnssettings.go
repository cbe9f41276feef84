package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// Bounds of what an operator may list.
const (
	mostRegions     = 64
	mostNameServers = 8
	mostAddresses   = 32 // of a region
)

func regionsSetting() Setting {
	return Setting{
		Key: "regions", Argument: "NAME[=ADDRESS+ADDRESS]",
		About: "Where this server is reached: items with name and, for listen.dns, addresses, which name the public addresses to lead visitors and agents to. The first is the region that agents are told; others lead to the same server.",
		list:  true, fields: []string{"name"}, lists: []string{"addresses"}, set: setRegions, show: showRegions,
	}
}

func setRegions(c *Config, values []string) error {
	regions := make([]Region, 0, len(values))
	for _, text := range values {
		region, err := parseRegion(text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(regions, func(r Region) bool { return r.Name == region.Name }) {
			return fmt.Errorf("there are two regions %q", region.Name)
		}
		regions = append(regions, region)
	}
	if len(regions) > mostRegions {
		return fmt.Errorf("%d regions are more than %d", len(regions), mostRegions)
	}
	if len(regions) > 0 {
		c.Region, c.Regions = regions[0].Name, regions
	}
	return nil
}

// parseRegion takes "NAME" and "NAME=ADDRESS+ADDRESS".
func parseRegion(text string) (Region, error) {
	name, list, listed := strings.Cut(text, "=")
	if name == "" || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(name, "-") != name {
		return Region{}, fmt.Errorf("%q is not a region's name: 1 to 63 lower-case letters, digits and hyphens", clip(name))
	}
	if name == "global" {
		return Region{}, fmt.Errorf("%q means all regions; give this one another name", name)
	}
	region := Region{Name: name}
	if !listed {
		return region, nil
	}
	for item := range strings.SplitSeq(list, "+") {
		address, err := netip.ParseAddr(strings.TrimSpace(item))
		if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
			return Region{}, fmt.Errorf("region %s: %q is not an address that others can reach, such as 203.0.113.7 or 2001:db8::7", name, clip(item))
		}
		region.Addresses = append(region.Addresses, address.Unmap())
	}
	if len(region.Addresses) > mostAddresses {
		return Region{}, fmt.Errorf("region %s: %d addresses are more than %d", name, len(region.Addresses), mostAddresses)
	}
	return region, nil
}

func showRegions(c Config) string {
	var texts []string
	for _, region := range c.Regions {
		text := region.Name
		for i, address := range region.Addresses {
			text += map[bool]string{true: "=", false: "+"}[i == 0] + address.String()
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}

func dnsSettings() []Setting {
	return []Setting{
		sequence("dns.name_servers", "NAME", "The names by which other zones delegate to this server; they need address records that lead to listen.dns. ns1 to ns4 below domain unless set.",
			func(c *Config) *[]postern.Hostname { return &c.DNS.NameServers }, parseNameServer, postern.Hostname.String),
		sequence("dns.resolvers", "ADDRESS[:PORT]", "The recursive resolvers that the server asks itself, to see how other zones are set up; the system's unless set.",
			func(c *Config) *[]netip.AddrPort { return &c.DNS.Resolvers }, parseResolver, netip.AddrPort.String).live(),
		sequence("dns.caa", "ISSUER", "CAA values for the tops of the server's zones, such as letsencrypt.org: who may issue certificates for agent ingresses; anybody unless set.",
			func(c *Config) *[]string { return &c.DNS.Issuers }, parseIssuer, plain).live(),
		scalar("dns.answers_per_second", "NUMBER", "How many answers of one kind a network (/24, /56) gets over UDP each second; above it is told to use TCP. 0: any number.",
			func(c *Config) *int { return &c.DNS.AnswersPerSecond }, within(0, 1_000_000), strconv.Itoa).live(),
	}
}

func parseNameServer(s string) (postern.Hostname, error) {
	name, err := parseDomain(s)
	if err == nil && (name == "" || !strings.Contains(string(name), ".")) {
		err = fmt.Errorf("%q is not the whole name of a name server, such as ns1.example.com", clip(s))
	}
	return name, err
}

func parseResolver(s string) (netip.AddrPort, error) {
	const port = 53
	if address, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(address, port), nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not the address of a resolver, such as 192.0.2.53 or [2001:db8::53]:53", clip(s))
	}
	return at, nil
}

// parseIssuer takes the value of a CAA record (RFC 8659 §4.2): a domain, and parameters
// behind semicolons; ";" alone is nobody.
func parseIssuer(s string) (string, error) {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == ',' {
			return "", fmt.Errorf("%q is not a CAA value such as letsencrypt.org", clip(s))
		}
	}
	issuer, _, _ := strings.Cut(s, ";")
	if issuer = strings.TrimSpace(issuer); s == "" || len(s) > 255 || issuer == "" && s != ";" {
		return "", fmt.Errorf("%q is not a CAA value such as letsencrypt.org; a single ; is nobody", clip(s))
	}
	if issuer != "" {
		if _, err := postern.ParseHostname(issuer); err != nil {
			return "", fmt.Errorf("%q does not begin with the domain of an issuer", clip(s))
		}
	}
	return s, nil
}

// validateDNS checks what no single key shows.
func (c *Config) validateDNS(problems *Problems) {
	if len(c.DNS.NameServers) > mostNameServers {
		problems.add(c.place("dns.name_servers"), "dns.name_servers has %d names, more than %d", len(c.DNS.NameServers), mostNameServers)
	}
	if c.Listen.DNS == "" {
		return
	}
	for _, region := range c.Regions {
		if len(region.Addresses) == 0 {
			problems.add(c.place("listen.dns"), "listen.dns is set but region %s has no addresses to lead visitors to; write regions: [{name: %s, addresses: [the server's public addresses]}]", region.Name, region.Name)
		}
	}
}
