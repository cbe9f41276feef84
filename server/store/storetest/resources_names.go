package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func reservedDomains() kind[store.ReservedDomain, *store.ReservedDomain] {
	return kind[store.ReservedDomain, *store.ReservedDomain]{
		rows: store.Tx.ReservedDomains,
		fill: func(_ context.Context, _ store.Tx, d *store.ReservedDomain, n int) error {
			d.Domain, d.ResolvesTo = postern.Hostname(fmt.Sprintf("*.d%d.example.org", n)), []string{"global", "eu"}
			d.Certificate, d.CNAMETarget, d.ACMETarget = "cert_1", "a.dns.example.com", "b.acme.dns.example.com"
			d.Policy, d.PolicySince = store.CertificatePolicy{Authority: "letsencrypt", KeyType: "ecdsa"}, d.CreatedAt
			d.Pages = somePages()
			return nil
		},
		change: func(d *store.ReservedDomain) {
			d.Pages = postern.ErrorPages{}
			d.Certificate, d.Policy, d.PolicySince = "", store.CertificatePolicy{}, time.Time{}
			d.ResolvesTo = []string{"global"}
		},
	}
}

func somePages() postern.ErrorPages {
	return postern.ErrorPages{
		Pages:       []postern.ErrorPage{{Errors: []string{"offline", "5xx"}, HTML: "<p>{{code}} & ünïcode", Text: "gone"}},
		Maintenance: postern.Maintenance{Enabled: true, RetryAfter: 60, AllowCIDRs: []string{"192.0.2.0/24"}},
	}
}

func agentIngresses() kind[store.AgentIngress, *store.AgentIngress] {
	return kind[store.AgentIngress, *store.AgentIngress]{
		rows: store.Tx.AgentIngresses,
		fill: func(_ context.Context, _ store.Tx, a *store.AgentIngress, n int) error {
			a.Domain = postern.Hostname(fmt.Sprintf("connect%d.example.org", n))
			a.Policy, a.PolicySince = store.CertificatePolicy{Authority: "letsencrypt", KeyType: "rsa"}, a.CreatedAt
			return nil
		},
		change: func(a *store.AgentIngress) { a.Policy, a.PolicySince = store.CertificatePolicy{}, time.Time{} },
	}
}

func reservedAddrs() kind[store.ReservedAddr, *store.ReservedAddr] {
	return kind[store.ReservedAddr, *store.ReservedAddr]{
		rows: store.Tx.ReservedAddrs,
		fill: func(_ context.Context, _ store.Tx, a *store.ReservedAddr, n int) error {
			a.Host, a.Port, a.Region = "tcp.example.com", uint16(65530+n), "eu" //nolint:gosec // n is small
			return nil
		},
	}
}

func ipPolicyRules() kind[store.IPPolicyRule, *store.IPPolicyRule] {
	return kind[store.IPPolicyRule, *store.IPPolicyRule]{
		rows: store.Tx.IPPolicyRules,
		fill: func(ctx context.Context, tx store.Tx, r *store.IPPolicyRule, n int) error {
			r.Policy, r.CIDR, r.Action = fmt.Sprint("ipp_", n), "192.0.2.0/24", "allow"
			return tx.IPPolicies().Create(ctx, store.IPPolicy{Meta: store.Meta{ID: r.Policy, Account: r.Account}})
		},
		change: func(r *store.IPPolicyRule) { r.CIDR = "2001:db8::/32" },
	}
}

func ipRestrictions() kind[store.IPRestriction, *store.IPRestriction] {
	return kind[store.IPRestriction, *store.IPRestriction]{
		rows: store.Tx.IPRestrictions,
		fill: func(_ context.Context, _ store.Tx, r *store.IPRestriction, n int) error {
			r.Type, r.Enforced, r.Policies = fmt.Sprint("type ", n), true, []string{"ipp_1", "ipp_2"}
			return nil
		},
		change: func(r *store.IPRestriction) { r.Enforced, r.Policies = false, []string{"ipp_3"} },
	}
}
