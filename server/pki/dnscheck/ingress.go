package dnscheck

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// Region is where agents are led.
type Region struct {
	Name      string
	Addresses []netip.Addr
}

// IngressWant is what an agent ingress's records are to be.
type IngressWant struct {
	Domain      postern.Hostname
	NameServers []postern.Hostname
	Regions     []Region
	NoZone      bool // the server answers no DNS: address records are to be in the zone above
}

// Ingress looks at the delegation of an agent ingress, and whether resolvers find it.
func Ingress(ctx context.Context, l Lookup, w IngressWant) Report {
	delegation := delegationOf(ctx, l, fqdn(w.Domain), w.NameServers)
	if w.NoZone {
		if len(delegation.Have) > 0 {
			return Report{wrong(postern.CodeDelegationSilent, "NS", fqdn(w.Domain),
				"%s is delegated to %s, but this server answers no DNS; set listen.dns, or replace the NS records by address records", w.Domain, strings.Join(delegation.Have, ", ")).has(delegation.Have...)}
		}
	} else if delegation.Status == Problem {
		return Report{delegation}
	}
	var report Report
	if !w.NoZone {
		report = append(report, delegation)
	}
	var all []netip.Addr
	for _, region := range w.Regions {
		all = append(all, region.Addresses...)
	}
	report = append(report, leadsTo(ctx, l, fqdn(w.Domain), all, w.NoZone))
	for _, region := range w.Regions {
		report = append(report, leadsTo(ctx, l, "tunnel."+region.Name+"."+fqdn(w.Domain), region.Addresses, w.NoZone))
	}
	return report
}

// delegationOf compares a zone's NS records, as the zone above has them, with those
// wanted.
func delegationOf(ctx context.Context, l Lookup, name string, servers []postern.Hostname) Finding {
	want := names(servers)
	answer, err := l.Delegation(ctx, name)
	if err != nil {
		return failed(postern.CodeDNSLookupFailed, "NS", name, err).wants(want...)
	}
	var have []string
	for _, record := range of[*miekg.NS](answer, name) {
		have = append(have, record.Ns)
	}
	have = names(have)
	missing := slices.DeleteFunc(slices.Clone(want), func(server string) bool { return slices.Contains(have, server) })
	foreign := slices.DeleteFunc(slices.Clone(have), func(server string) bool { return slices.Contains(want, server) })
	switch {
	case len(have) == 0:
		return wrong(postern.CodeNSMissing, "NS", name, "%s has no NS records; create one for each of %s", bare(name), strings.Join(want, ", ")).wants(want...)
	case len(foreign) > 0:
		return wrong(postern.CodeNSMismatch, "NS", name, "%s is delegated to %s; it is to be delegated to %s and nobody else", bare(name), strings.Join(have, ", "), strings.Join(want, ", ")).
			wants(want...).has(have...)
	case len(missing) > 0:
		return wrong(postern.CodeNSCount, "NS", name, "%s is delegated to %d of %d name servers; add NS records for %s", bare(name), len(have), len(want), strings.Join(missing, ", ")).
			wants(want...).has(have...).warning()
	}
	return found("NS", name, "is delegated to the server").wants(want...).has(have...)
}

// leadsTo asks resolvers, as agents do. Where the name is in the server's own zone this
// also says whether its name servers can be reached.
func leadsTo(ctx context.Context, l Lookup, name string, want []netip.Addr, elsewhere bool) Finding {
	answer, err := l.Addresses(ctx, name)
	have := addressesIn(answer)
	switch {
	case err != nil && elsewhere:
		return failed(postern.CodeDNSLookupFailed, "A", name, err).wants(texts(want)...)
	case err != nil || len(have) == 0 && !elsewhere:
		why := "they say that it has none"
		if err != nil {
			why = failed("", "", name, err).Text
		}
		return wrong(postern.CodeDelegationSilent, "A", name,
			"resolvers find no address of %s, which this server has: %s. Its name servers need address records of their own, and must be reached on port 53, over UDP and TCP", bare(name), why).wants(texts(want)...)
	case len(have) == 0:
		return wrong(postern.CodeAddressMissing, "A", name, "%s has no address; create A or AAAA records that lead to the server", bare(name)).wants(texts(want)...)
	case len(want) > 0 && !slices.ContainsFunc(have, func(a netip.Addr) bool { return slices.Contains(want, a) }):
		return wrong(postern.CodeAddressElsewhere, "A", name, "%s leads to %s, and the server is at %s", bare(name), strings.Join(texts(have), ", "), strings.Join(texts(want), ", ")).
			wants(texts(want)...).has(texts(have)...)
	}
	return found("A", name, "leads to the server").wants(texts(want)...).has(texts(have)...)
}

// OperatorWant is what the records of a server's own domain are to be.
type OperatorWant struct {
	Domain      postern.Hostname
	Addresses   []netip.Addr // none: not known
	NameServers []postern.Hostname
	Challenge   postern.Hostname // where _acme-challenge is to point; "": nowhere
	NoZone      bool             // the server answers no DNS
}

// Operator looks at the records of a server's own domain, which its operator creates
// once: those of the domain and of all names below it, the delegation of dns.<domain>, and
// the record for challenges.
func Operator(ctx context.Context, l Lookup, w OperatorWant) Report {
	domain := fqdn(w.Domain)
	report := Report{
		leadsTo(ctx, l, domain, w.Addresses, true),
		leadsTo(ctx, l, "postern-"+strings.ToLower(rand.Text())[:12]+"."+domain, w.Addresses, true),
	}
	report[1].Name = "*." + bare(domain)
	if w.NoZone {
		return report
	}
	for _, server := range w.NameServers {
		report = append(report, leadsTo(ctx, l, fqdn(server), nil, true))
	}
	report = append(report, delegationOf(ctx, l, "dns."+domain, w.NameServers))
	if w.Challenge != "" {
		report = append(report, challengeOf(ctx, l, "_acme-challenge."+domain, w.Challenge))
	}
	return report
}
