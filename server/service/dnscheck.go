package service

import (
	"context"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/pki/dnscheck"
)

// mostChecks is how many checks of records are under way at once, of all accounts.
const mostChecks = 16

// RecordChecks is what checks of other people's records need.
type RecordChecks struct {
	// Resolver gives who is asked; nil: nobody, and no check works.
	Resolver func() dnscheck.Resolver

	Regions []dnscheck.Region // where the server is reached
	NoZone  bool              // it answers no DNS itself

	// Issuers gives by which names CAA records know the authority that certificates come
	// from; nil or none: no certificate is obtained, and CAA records do not matter.
	Issuers func() []string

	// Mended is called when the work on a certificate that waited has been brought
	// forward; nil: nobody wants to know.
	Mended func()
}

// Check looks at the records of a reserved domain. It may take ten seconds.
func (r *ReservedDomains) Check(ctx context.Context, by Caller, id string) (resource.DNSCheck, error) {
	domain, err := r.Get(ctx, by, id)
	if err != nil {
		return resource.DNSCheck{}, err
	}
	s := r.service
	want := dnscheck.DomainWant{Domain: postern.Hostname(domain.Domain), Addresses: s.regionAddresses()}
	if domain.CNAMETarget != nil {
		want.CNAME = postern.Hostname(*domain.CNAMETarget)
	}
	if domain.ACMEChallengeCNAMETarget != nil {
		want.ACME = postern.Hostname(*domain.ACMEChallengeCNAMETarget)
	}
	return s.checkRecords(ctx, by.Account, id, domain.Domain, func(ctx context.Context, l dnscheck.Lookup) dnscheck.Report {
		report := dnscheck.Domain(ctx, l, want)
		if domain.CertificateManagementPolicy != nil && s.checks.Issuers != nil {
			if issuers := s.checks.Issuers(); len(issuers) > 0 {
				report = append(report, dnscheck.CAA(ctx, l, dnscheck.CAAWant{Domain: want.Domain, Issuers: issuers, Own: "dns." + s.domains[0]}))
			}
		}
		return report
	})
}

// CheckIngress looks at the delegation of an agent ingress. It may take ten seconds.
func (s *Service) CheckIngress(ctx context.Context, by Caller, id string) (resource.DNSCheck, error) {
	ingress, err := s.AgentIngresses().Get(ctx, by, id)
	if err != nil {
		return resource.DNSCheck{}, err
	}
	want := dnscheck.IngressWant{Domain: postern.Hostname(ingress.Domain), NameServers: s.nameServers, Regions: s.checks.Regions, NoZone: s.checks.NoZone}
	return s.checkRecords(ctx, by.Account, id, ingress.Domain, func(ctx context.Context, l dnscheck.Lookup) dnscheck.Report {
		return dnscheck.Ingress(ctx, l, want)
	})
}

// checkRecords has verdicts given, a few at a time. Where nothing is wrong any more, work on
// a certificate that waits since it failed goes on at once.
func (s *Service) checkRecords(ctx context.Context, account postern.AccountID, id, domain string, verdicts func(context.Context, dnscheck.Lookup) dnscheck.Report) (resource.DNSCheck, error) {
	if s.checks.Resolver == nil {
		return resource.DNSCheck{}, postern.Errorf(postern.CodeDNSLookupFailed, "this server looks nothing up")
	}
	select {
	case s.checking <- struct{}{}:
		defer func() { <-s.checking }()
	default:
		return resource.DNSCheck{}, postern.Errorf(postern.CodeTooManyAtOnce, "the server checks %d domains already", mostChecks)
	}
	walk, ctx, done := s.checks.Resolver().Walk(ctx)
	defer done()
	report := verdicts(ctx, walk)
	if report.Status() == dnscheck.OK {
		if err := s.bringForward(context.WithoutCancel(ctx), account, id); err != nil {
			s.logger.WarnContext(ctx, "the work on a certificate is not brought forward", "error", postern.AsError(err))
		}
	}
	check := resource.DNSCheck{Domain: domain, Status: string(report.Status()), CheckedAt: resource.Moment(s.now()), Records: make([]resource.DNSRecord, 0, len(report))}
	for _, f := range report {
		check.Records = append(check.Records, resource.DNSRecord{Type: f.Type, Name: f.Name, Status: string(f.Status), Code: orNil(f.Code), Msg: f.Text,
			Want: append([]string{}, f.Want...), Have: append([]string{}, f.Have...)})
	}
	return check, nil
}

func (s *Service) regionAddresses() []netip.Addr {
	var all []netip.Addr
	for _, region := range s.checks.Regions {
		all = append(all, region.Addresses...)
	}
	return all
}
