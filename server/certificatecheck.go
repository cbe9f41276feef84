package server

import (
	"context"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/pki/dnscheck"
	"github.com/postern-dev/postern/server/store"
)

// checkProof looks at the records that an authority will look at, because authorities count
// what fails. Only what is certain keeps it from being asked: a record that is missing or
// leads elsewhere, and CAA records that forbid it. What cannot be looked up from here may
// well be seen from there; and every third attempt is made without looking, for the view
// from here may be wrong.
func (s *Server) checkProof(ctx context.Context, job store.CertificateJob, proof acme.Proof) error {
	if job.Attempts%3 == 2 {
		return nil
	}
	c := s.settings()
	walk, ctx, done := dnscheck.Resolver{Recursive: c.DNS.Resolvers}.Walk(ctx)
	defer done()
	var report dnscheck.Report
	if proof.Kind == acme.DNS01 && proof.Record != nil {
		report = dnscheck.Domain(ctx, walk, dnscheck.DomainWant{Domain: job.Name, ACME: proof.Record(job.Name)})
	}
	if all := issuers(c.directories()); len(all) > 0 {
		report = append(report, dnscheck.CAA(ctx, walk, dnscheck.CAAWant{Domain: job.Name, Issuers: all, Methods: []string{string(proof.Kind)}, Own: "dns." + c.Domain}))
	}
	certain := []postern.Code{postern.CodeChallengeRecordMissing, postern.CodeChallengeRecordElsewhere, postern.CodeChallengeAddress,
		postern.CodeCAAForbidden, postern.CodeCAAMethods, postern.CodeCAACritical}
	for _, finding := range report {
		if finding.Status == dnscheck.Problem && slices.Contains(certain, finding.Code) {
			return &acme.Failure{Code: finding.Code, Message: finding.Text, Records: true}
		}
	}
	return nil
}
