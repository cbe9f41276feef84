package dnscheck

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// mostHops is how many CNAME records may stand one behind the other.
const mostHops = 8

// DomainWant is what a reserved domain's records are to be.
type DomainWant struct {
	Domain    postern.Hostname
	CNAME     postern.Hostname // "": the domain is below the server's own
	ACME      postern.Hostname // "": no challenge needs a record
	Addresses []netip.Addr     // the server's, as far as they are known
}

// Domain looks at the records of a reserved domain.
func Domain(ctx context.Context, l Lookup, w DomainWant) Report {
	report := Report{cnameOf(ctx, l, w)}
	if base := strings.TrimPrefix(string(w.Domain), "*."); w.ACME != "" {
		return append(report, challengeOf(ctx, l, "_acme-challenge."+fqdn(base), w.ACME))
	}
	none := found("CNAME", "_acme-challenge."+string(w.Domain), "no record is needed for challenges")
	none.Code = postern.CodeChallengeRecordUnneeded
	return append(report, none)
}

func cnameOf(ctx context.Context, l Lookup, w DomainWant) Finding {
	name := fqdn(w.Domain)
	if w.CNAME == "" {
		none := found("CNAME", name, "no record is needed: %s is below the server's own domain", w.Domain)
		none.Code = postern.CodeDomainRecordUnneeded
		return none
	}
	want := string(w.CNAME)
	have, err := chain(ctx, l, name, want)
	switch {
	case err != nil:
		return failed(postern.CodeDNSLookupFailed, "CNAME", name, err).wants(want)
	case slices.Contains(have, want):
		return found("CNAME", name, "leads to the server").wants(want).has(have...)
	case len(have) > 0:
		return elsewhere(ctx, l, w, have)
	}
	addresses, err := addressesAt(ctx, l, name)
	switch {
	case err != nil:
		return failed(postern.CodeDNSLookupFailed, "CNAME", name, err).wants(want)
	case len(addresses) == 0:
		return wrong(postern.CodeCNAMEMissing, "CNAME", name, "%s has no CNAME record; create one that points to %s", w.Domain, want).wants(want)
	case slices.ContainsFunc(addresses, cloudflare):
		return wrong(postern.CodeDomainProxied, "CNAME", name,
			"%s leads to Cloudflare's proxies, behind which its record cannot be seen; switch the proxy off for this record (\"DNS only\"), or make sure that it points to %s", w.Domain, want).
			wants(want).has(texts(addresses)...).warning()
	case !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !slices.Contains(w.Addresses, a) }):
		return wrong(postern.CodeAddressInsteadOfCNAME, "CNAME", name,
			"%s has address records, which lead to this server today; a CNAME record that points to %s still does when the server has other addresses", w.Domain, want).
			wants(want).has(texts(addresses)...).warning()
	}
	return wrong(postern.CodeAddressInsteadOfCNAME, "CNAME", name,
		"%s has address records instead of a CNAME record; replace them by one that points to %s", w.Domain, want).wants(want).has(texts(addresses)...)
}

// elsewhere is for a domain whose record points to somebody else.
func elsewhere(ctx context.Context, l Lookup, w DomainWant, have []string) Finding {
	name, want := fqdn(w.Domain), string(w.CNAME)
	if above := "*." + parent(name); !w.Domain.Wildcard() {
		if answer, err := l.Records(ctx, above, miekg.TypeCNAME); err == nil {
			for _, record := range of[*miekg.CNAME](answer, above) {
				if bare(record.Target) == have[0] {
					return wrong(postern.CodeWildcardRecordElsewhere, "CNAME", name,
						"%s has no record of its own: that of %s answers for it, and points to %s; create a CNAME record for %s that points to %s",
						w.Domain, bare(above), have[0], w.Domain, want).wants(want).has(have...)
				}
			}
		}
	}
	return wrong(postern.CodeCNAMEElsewhere, "CNAME", name, "%s has a CNAME record that points to %s; have it point to %s", w.Domain, have[0], want).
		wants(want).has(have...)
}

// challengeOf looks at the record by which challenges for a certificate are delegated.
func challengeOf(ctx context.Context, l Lookup, name string, target postern.Hostname) Finding {
	want := string(target)
	have, err := chain(ctx, l, name, want)
	switch {
	case err != nil:
		return failed(postern.CodeDNSLookupFailed, "CNAME", name, err).wants(want)
	case slices.Contains(have, want):
		return found("CNAME", name, "lets the server answer challenges").wants(want).has(have...)
	case len(have) > 0:
		return wrong(postern.CodeChallengeRecordElsewhere, "CNAME", name,
			"%s has a CNAME record, maybe that of a wildcard, which points to %s; create one for this very name that points to %s", bare(name), have[0], want).
			wants(want).has(have...)
	}
	addresses, err := addressesAt(ctx, l, name)
	switch {
	case err != nil:
		return failed(postern.CodeDNSLookupFailed, "CNAME", name, err).wants(want)
	case slices.ContainsFunc(addresses, cloudflare):
		return wrong(postern.CodeChallengeProxied, "CNAME", name,
			"%s leads to Cloudflare's proxies, which answer no challenge; switch the proxy off for this record (\"DNS only\")", bare(name)).
			wants(want).has(texts(addresses)...).warning()
	case len(addresses) > 0:
		return wrong(postern.CodeChallengeAddress, "CNAME", name, "%s has address records; replace them by a CNAME record that points to %s", bare(name), want).
			wants(want).has(texts(addresses)...)
	}
	return wrong(postern.CodeChallengeRecordMissing, "CNAME", name, "%s has no CNAME record; create one that points to %s", bare(name), want).wants(want)
}

// chain follows CNAME records until one points to want, and gives all their targets. Only
// the first look-up must work: what is behind another name is that name's trouble.
func chain(ctx context.Context, l Lookup, name, want string) ([]string, error) {
	var have []string
	for at := name; len(have) < mostHops; {
		answer, err := l.Records(ctx, at, miekg.TypeCNAME)
		if err != nil && len(have) == 0 {
			return nil, err
		}
		records := of[*miekg.CNAME](answer, at)
		if err != nil || len(records) == 0 {
			break
		}
		at = records[0].Target
		have = append(have, bare(at))
		if bare(at) == want {
			break
		}
	}
	return have, nil
}

// addressesAt are a name's own address records.
func addressesAt(ctx context.Context, l Lookup, name string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		answer, err := l.Records(ctx, name, kind)
		if err != nil {
			return nil, err
		}
		all = append(all, addressesIn(answer)...)
	}
	return all, nil
}

func addressesIn(answer Answer) []netip.Addr {
	var all []netip.Addr
	for _, record := range answer.Records {
		if address, is := addressOf(record); is {
			all = append(all, address)
		}
	}
	return all
}

func texts(addresses []netip.Addr) []string {
	all := make([]string, len(addresses))
	for i, address := range addresses {
		all[i] = address.String()
	}
	return all
}
