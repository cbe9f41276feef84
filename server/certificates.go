package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// certificates is where what visitors and agents are shown comes from.
type certificates struct {
	index       pki.Index        // of domains, ingresses, and what was issued for the server
	files       *pki.Files       // nil but in the mode files
	ca          *pki.LocalCA     // nil in the mode files
	internal    *pki.LocalCA     // signs for agents: ca, or one beside the files; nil where that cannot be
	challenges  *acme.Challenges // of any process
	directories []*acme.Directory
	manager     *acme.Manager // nil: nothing is got from authorities
	budget      *issueBudget
	orders      *agentOrders // for agents' keys; nil: none is got from authorities
}

// close ends what the rest does not.
func (c *certificates) close() {
	if c.orders != nil {
		c.orders.close()
	}
	for _, directory := range c.directories {
		directory.Close()
	}
	if c.challenges != nil {
		c.challenges.Close()
	}
}

// openCertificates makes all that but the index's content.
func (s *Server) openCertificates() error {
	s.challenges = acme.NewChallenges(s.service.Certificates())
	var err error
	if s.config.TLS.Mode == ModeFiles {
		pairs := make([]pki.Pair, len(s.config.TLS.Certificates))
		for i, files := range s.config.TLS.Certificates {
			pairs[i] = pki.Pair{Certificate: files.Certificate, Key: files.Key}
		}
		if s.files, err = pki.LoadFiles(pairs); err != nil {
			return err
		}
		// Visitors are served without it, so it is no reason not to start.
		if s.internal, err = openCA(s.dir, s.config, s.custom, s.log); err != nil {
			s.log.Warn("agents that end TLS themselves get no certificates from this server", "error", err)
			s.internal = nil
		}
	} else {
		if s.ca, err = openCA(s.dir, s.config, s.custom, s.log); err != nil {
			return err
		}
		s.internal = s.ca
	}
	if len(s.config.directories()) == 0 {
		return nil
	}
	return s.openACME()
}

func (s *Server) openACME() error {
	c := s.config
	var roots *x509.CertPool
	if c.ACME.CARoot != "" {
		text, err := os.ReadFile(c.ACME.CARoot)
		if err != nil {
			return postern.Errorf(postern.CodeFileUnreadable, "tls.ca_root: %s cannot be read: %v", c.ACME.CARoot, err).Because(err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return postern.Errorf(postern.CodeConfigInvalid, "tls.ca_root: %s has no certificate in PEM", c.ACME.CARoot)
		}
	}
	table := s.service.Certificates()
	config := acme.Config{
		Jobs: jobs{table, s}, Names: s.service.JobNames, Proofs: s.proofs, Check: s.checkProof, Process: ksuid.New().String(), Logger: s.log,
	}
	for _, url := range c.directories() {
		directory := acme.NewDirectory(acme.DirectoryConfig{
			URL: url, Email: c.ACME.Email, EAB: acme.EAB{KeyID: c.ACME.EABKeyID, MACKey: c.ACME.EABMACKey}, Roots: roots,
			Accounts: table, Challenges: s.challenges, UserAgent: "Postern/" + s.options.Version, Logger: s.log,
		})
		s.directories = append(s.directories, directory)
		config.Authorities = append(config.Authorities, directory)
	}
	s.manager, s.budget = acme.NewManager(config), newIssueBudget()
	if c.delegatesChallenges() {
		s.log.Info("the server's wildcard certificate is proved by a CNAME record that has to be there",
			"record", "_acme-challenge."+c.Domain, "target", s.service.ChallengeTarget())
	}
	s.orders = newAgentOrders(&agentOrders{
		dir: s.dir.file(agentOrdersName), authorities: config.Authorities, admit: s.budget.admit, log: s.log,
		proofs: func(ctx context.Context, name postern.Hostname) ([]acme.Proof, error) {
			return s.proofs(ctx, agentJob(name))
		},
	})
	return nil
}

// jobs tells the index about what was issued here.
type jobs struct {
	service.Certificates
	server *Server
}

// Issue implements acme.Jobs.
func (j jobs) Issue(ctx context.Context, job store.CertificateJob, issued acme.Issued) error {
	err := j.Certificates.Issue(ctx, job, issued)
	if err == nil && (job.Kind == store.JobServer || job.Kind == store.JobEndpoint) {
		j.server.readOwnCertificates(ctx) // of the others an event tells
	}
	return err
}

// ownNames are those of the server itself that get certificates in the mode acme: all by
// one wildcard where records can be written for that, else what agents and visitors cannot
// do without. Endpoints' names get theirs when they are bound.
func (s *Server) ownNames() []postern.Hostname {
	if s.config.TLS.Mode != ModeACME {
		return nil
	}
	var names []postern.Hostname
	for _, domain := range s.config.domains() {
		if s.provesRecords() {
			names = append(names, "*."+domain)
		}
	}
	if len(names) > 0 {
		return names
	}
	domain := s.config.Domain
	return []postern.Hostname{domain, "connect." + domain, "api." + domain, "gateway." + domain}
}

// answersDNS tells whether the server answers for the zones of its targets and of agent
// ingresses.
func (s *Server) answersDNS() bool { return s.listeners.dns != nil }

// provesRecords tells whether TXT records can be shown.
func (s *Server) provesRecords() bool { return s.answersDNS() || s.config.ACME.DNS.writes() }

// writer writes records into the zone that has the server's own domain, and with it the
// targets of accounts' challenges.
func (s *Server) writer() acme.Writer {
	d := s.config.ACME.DNS
	var writers acme.Writers
	if d.Exec != "" {
		writers = append(writers, acme.Command{Program: d.Exec, Wait: d.Wait})
	}
	if d.Server != "" {
		writers = append(writers, acme.Update{Server: d.Server, Zone: d.Zone, KeyName: d.KeyName, Secret: d.KeySecret, Algorithm: d.KeyAlgorithm, Wait: d.Wait})
	}
	return writers
}

// proofs are the ways in which the names of a job can be proved.
func (s *Server) proofs(ctx context.Context, job store.CertificateJob) ([]acme.Proof, error) {
	switch {
	case job.Kind == store.JobIngress && s.answersDNS():
		return []acme.Proof{{Kind: acme.DNS01}}, nil // its zone is ours
	case !job.Name.Wildcard():
		return s.proofsByVisit(), nil
	case !s.provesRecords():
		return nil, &acme.Failure{Code: postern.CodeCertificateWildcard, Message: "A wildcard is proved by DNS records, which this server neither answers (listen.dns) nor writes (acme.dns). Its operator can turn one of them on; reserve single names otherwise, or upload a certificate."}
	case job.Kind == store.JobServer && s.config.ACME.DNS.writes():
		return []acme.Proof{{Kind: acme.DNS01, Writer: s.writer()}}, nil
	}
	target := s.service.ChallengeTarget()
	if job.Kind == store.JobDomain {
		var err error
		if target, err = s.service.DomainChallengeTarget(ctx, job.Subject); err != nil {
			return nil, err
		}
	}
	proof := acme.Proof{Kind: acme.DNS01, Record: func(postern.Hostname) postern.Hostname { return target }}
	if !s.answersDNS() {
		proof.Writer = s.writer()
	}
	return []acme.Proof{proof}, nil
}

// proofsByVisit are those for which an authority comes to us.
func (s *Server) proofsByVisit() []acme.Proof {
	byTLS := acme.Proof{Kind: acme.TLSALPN01}
	if s.listeners.http == nil {
		return []acme.Proof{byTLS}
	}
	return []acme.Proof{{Kind: acme.HTTP01}, byTLS}
}

// custom tells whether an endpoint, a private gateway or an agent ingress has a name, for certificates of
// names that are not below the server's own domains.
func (s *Server) custom(name postern.Hostname) bool {
	_, _, ingress := s.doors.Ingress(name)
	return ingress || s.gateways.Named(name) || s.routes.Load().Secure(name) != nil
}

// own tells whether a name is one of the server's domains, or below one.
func (s *Server) own(name postern.Hostname) bool {
	return slices.ContainsFunc(s.config.domains(), func(domain postern.Hostname) bool { return name == domain || name.Under(domain) })
}

// certificate is the edge's source: what was issued or uploaded for the name, else the
// server's own. While a domain elsewhere waits for its certificate visitors are shown the
// server's wildcard, which does not have the name. Nobody is shown another account's.
func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, err := postern.ParseHostname(hello.ServerName)
	if err != nil && hello.ServerName != "" {
		return nil, nil //nolint:nilnil // no name of ours, whatever it is
	}
	if name == "" && s.config.TLS.Mode == ModeACME {
		name = "connect." + s.config.Domain // who dials an address
	}
	certificate, err := s.index.Find(name)
	if err != nil {
		s.log.ErrorContext(hello.Context(), "a certificate cannot be used", "name", name, "error", err)
	}
	if certificate != nil {
		return certificate, nil
	}
	if s.files != nil {
		if certificate, err = s.files.GetCertificate(hello); certificate == nil && s.custom(name) {
			return s.files.First(), nil
		}
		return certificate, err
	}
	if s.config.TLS.Mode == ModeACME && !s.own(name) && s.custom(name) {
		if wildcard, err := s.index.Find("pending." + s.config.Domain); wildcard != nil || err != nil {
			return wildcard, err
		}
	}
	return s.ca.GetCertificate(hello)
}
