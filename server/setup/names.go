package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/dnscheck"
)

// lookupTime bounds one question to the resolver.
const lookupTime = 10 * time.Second

// Resolver answers what a name's addresses are; *net.Resolver is one. Errors for a name
// that does not exist are *net.DNSError with IsNotFound.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const noRecord = "there is no such record"

// Names looks whether the names of a server's domain lead to one of its public addresses:
// the domain itself, what agents and programs dial, and any name at all, which is the
// wildcard record. probe is a label that nobody has made a record for. Without addresses
// it only tells where the names lead.
func Names(ctx context.Context, r Resolver, domain postern.Hostname, probe string, ours []netip.Addr) Findings {
	var all Findings
	noWildcard := false
	for _, name := range []struct{ label, shown, why string }{
		{probe, "*", "every endpoint's name"},
		{"connect", "connect", "what agents dial"},
		{"api", "api", "the REST API"},
		{"", "", "https://" + string(domain)},
	} {
		asked, shown := join(name.label, domain), join(name.shown, domain)
		f := leads(ctx, r, asked, shown, ours)
		missing := f.Text == noRecord
		switch {
		case name.label == probe:
			noWildcard = missing
		case missing && noWildcard && name.label != "": // the same mistake
			f.Fix = "The record for " + join("*", domain) + " is enough."
		}
		if f.Status == Failed && name.label == "" {
			// A domain may well have a site of its own somewhere else.
			f.Status, f.Text = Warning, f.Text+"; only "+name.why+" needs it"
		} else if f.Status != OK {
			f.Text += "; it is " + name.why
		}
		all = append(all, f)
	}
	return all
}

func join(label string, domain postern.Hostname) string {
	if label == "" {
		return string(domain)
	}
	return label + "." + string(domain)
}

// leads finds out whether a name leads to us, and nowhere else.
func leads(ctx context.Context, r Resolver, asked, shown string, ours []netip.Addr) Finding {
	f := Finding{Check: "dns " + shown, Status: Failed}
	found, err := addresses(ctx, r, asked)
	switch {
	case isNotFound(err):
		f.Text = noRecord
		f.Fix = "Where the DNS of the domain is managed, add\n" + records(shown, ours) +
			"\nA resolver may go on for some minutes to say that there is none."
		return f
	case err != nil:
		f.Text = "the resolver gave no answer: " + reason(err)
		f.Fix = "See whether this machine's resolver works (/etc/resolv.conf), or name another with --resolver ADDRESS."
		return f
	case len(ours) == 0:
		f.Status, f.Text = Warning, "leads to "+list(found)+"; whether that is this machine is not known"
		f.Fix = "Say with --address what the machine's public addresses are."
		return f
	}
	var theirs []netip.Addr
	for _, addr := range found {
		if !slices.Contains(ours, addr) {
			theirs = append(theirs, addr)
		}
	}
	if len(theirs) == 0 {
		f.Status, f.Text = OK, "leads to "+list(found)
		return f
	}
	f.Text = "leads to " + list(theirs) + ", which is not this machine"
	f.Fix = "Where the DNS of the domain is managed, replace that record by\n" + records(shown, ours) +
		"\nIf a proxy or load balancer is meant to stand there, give its addresses with --address."
	return f
}

// addresses are both families' of a name.
func addresses(ctx context.Context, r Resolver, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := r.LookupNetIP(ctx, "ip", name+".") // rooted: no search list
	if err == nil && len(found) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: name, IsNotFound: true}
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found), err
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// reason is an error without the name that was asked for, which may be made up.
func reason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}

// records are the lines of a zone that a name needs.
func records(name string, ours []netip.Addr) string {
	if len(ours) == 0 {
		return "    " + name + ".  A  (this machine's public address)"
	}
	var lines []string
	for _, addr := range ours {
		kind := "A"
		if addr.Is6() {
			kind = "AAAA"
		}
		lines = append(lines, fmt.Sprintf("    %s.  %s  %s", name, kind, addr))
	}
	return strings.Join(lines, "\n")
}

func list(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// Delegation looks whether the zone below which the targets of custom domains lie is
// delegated to this server, and whether its name servers' names lead to it. running tells
// that the server can be asked itself.
func Delegation(ctx context.Context, l dnscheck.Lookup, domain postern.Hostname, servers []postern.Hostname, ours []netip.Addr, running bool) Findings {
	var all Findings
	zone := "dns." + string(domain)
	for _, found := range dnscheck.Operator(ctx, l, dnscheck.OperatorWant{Domain: domain, NameServers: servers, Addresses: ours}) {
		if found.Type != "NS" && !slices.Contains(servers, postern.Hostname(found.Name)) {
			continue // Names looks at it
		}
		f := findingOf(found)
		if found.Type == "NS" && f.Status != OK {
			var lines []string
			for _, server := range servers {
				lines = append(lines, fmt.Sprintf("    %s.  NS  %s.", zone, server))
			}
			f.Fix = "Where the DNS of the domain is managed, see that there is\n" + strings.Join(lines, "\n")
			if found.Code == postern.CodeDNSLookupFailed && !running {
				f.Status = Warning
				f.Fix = "Resolvers say that too where all is well and the server does not run yet: look again when it does, with --check.\n" + f.Fix
			}
		}
		all = append(all, f)
	}
	return all
}

// findingOf is a verdict on a record, as a check's.
func findingOf(found dnscheck.Finding) Finding {
	f := Finding{Check: "dns " + found.Name, Status: OK, Text: found.Text}
	if found.Type != "A" {
		f.Check += " " + found.Type
	}
	switch found.Status {
	case dnscheck.OK:
		return f
	case dnscheck.Warning:
		f.Status = Warning
	case dnscheck.Problem:
		f.Status = Failed
	}
	f.Fix = "docs/errors.md has more on " + string(found.Code) + "."
	return f
}

// Authorisation looks whether the domain lets an authority, by one of the names that it
// goes by in CAA records (RFC 8659), issue certificates.
func Authorisation(ctx context.Context, l dnscheck.Lookup, domain postern.Hostname, issuers []string) Finding {
	f := findingOf(dnscheck.CAA(ctx, l, dnscheck.CAAWant{Domain: domain, Issuers: issuers}))
	if f.Status != OK {
		f.Fix = "Where the DNS of the domain is managed, add the CAA record that permits the authority, or remove those that do not.\n" + f.Fix
	}
	return f
}
