package service

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// ServedCertificate is a certificate, and the names that visitors ask for it by.
type ServedCertificate struct {
	Names []postern.Hostname
	ID    string // another one for another certificate
	By    string // the id of the reserved domain or agent ingress that shows it

	account     postern.AccountID
	certificate string // the id of a TLS certificate; "": the job's own
	job         string
}

// ServedCertificates returns those that domains and agent ingresses of all accounts show,
// and the server's own.
func (s *Service) ServedCertificates(ctx context.Context) ([]ServedCertificate, error) {
	var all []ServedCertificate
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		some := store.Compare{Field: "certificate_id", Op: store.Differs, Value: nil}
		err := eachRow(ctx, tx.ReservedDomains(), some, func(row *store.ReservedDomain) error {
			all = append(all, servedByDomain(row))
			return nil
		})
		if err != nil {
			return err
		}
		notDomains := store.Compare{Field: "kind", Op: store.Differs, Value: string(store.JobDomain)}
		return eachRow(ctx, tx.CertificateJobs(), notDomains, func(row *store.CertificateJob) error {
			if one, has := s.servedByJob(row); has {
				all = append(all, one)
			}
			return nil
		})
	})
	return all, err
}

// OwnCertificates are the server's own among them.
func (s *Service) OwnCertificates(ctx context.Context) ([]ServedCertificate, error) {
	var own []ServedCertificate
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		own = nil
		return eachRow(ctx, tx.CertificateJobs(), store.OneOf("kind", string(store.JobServer), string(store.JobEndpoint)), func(row *store.CertificateJob) error {
			if one, has := s.servedByJob(row); has {
				own = append(own, one)
			}
			return nil
		})
	})
	return own, err
}

// CertificateOf returns what a reserved domain or an agent ingress shows; false: nothing.
func (s *Service) CertificateOf(ctx context.Context, id string) (one ServedCertificate, shows bool, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		domain, err := tx.ReservedDomains().Get(ctx, "", id)
		if err == nil {
			one, shows = servedByDomain(&domain), domain.Certificate != ""
			return nil
		}
		if !postern.HasCode(err, postern.CodeNotFound) {
			return err
		}
		job, err := s.findJob(ctx, tx, id)
		if err == nil && job.ID != "" {
			one, shows = s.servedByJob(&job)
		}
		return err
	})
	return one, shows, err
}

func servedByDomain(row *store.ReservedDomain) ServedCertificate {
	return ServedCertificate{Names: []postern.Hostname{row.Domain}, ID: row.Certificate, By: row.ID, account: row.Account, certificate: row.Certificate}
}

func (s *Service) servedByJob(row *store.CertificateJob) (ServedCertificate, bool) {
	one := ServedCertificate{Names: s.JobNames(*row), By: row.Subject, account: row.Account, job: row.ID}
	switch {
	case row.Certificate != "":
		one.ID, one.certificate = row.Certificate, row.Certificate
	case row.Chain != "":
		one.ID = row.ID + "@" + strconv.FormatInt(row.NotBefore.UnixMicro(), 10)
	default:
		return one, false
	}
	return one, true
}

// JobNames are those that a job's certificate is for.
func (s *Service) JobNames(job store.CertificateJob) []postern.Hostname {
	switch {
	case job.Kind == store.JobIngress:
		names := []postern.Hostname{job.Name}
		for _, region := range s.regions() {
			names = append(names, postern.Hostname("tunnel."+region+".")+job.Name)
		}
		return names
	case job.Kind == store.JobServer && job.Name.Wildcard():
		return []postern.Hostname{job.Name.Parent(), job.Name}
	}
	return []postern.Hostname{job.Name}
}

// LoadServed reads a certificate's chain, in PEM, and gives a function that opens its
// sealed key without reading anything.
func (s *Service) LoadServed(ctx context.Context, one ServedCertificate) (chain string, key func() ([]byte, error), err error) {
	kind, id, sealed := sealedCertificate, one.certificate, []byte(nil)
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		if one.certificate == "" {
			row, err := tx.CertificateJobs().Get(ctx, "", one.job)
			kind, id, chain, sealed = sealedJob, row.ID, row.Chain, row.PrivateKey
			return err
		}
		row, err := tx.TLSCertificates().Get(ctx, one.account, one.certificate)
		chain, sealed = row.Chain, row.PrivateKey
		return err
	})
	return chain, func() ([]byte, error) { return s.unseal(kind, id, sealedKey, sealed) }, err
}

// WantOwn has the work begin on the server's own certificates, and end on those of other
// names that have none yet. What others have stays while a wanted one has none.
func (c Certificates) WantOwn(ctx context.Context, keyType string, names []postern.Hostname) error {
	return c.service.change(ctx, func(d *draft) error {
		rows, err := d.CertificateJobs().List(d.ctx, store.Page{Limit: page, Where: store.Equal("kind", string(store.JobServer))})
		if err != nil {
			return err
		}
		ready := true
		for _, name := range names {
			at := slices.IndexFunc(rows, func(row store.CertificateJob) bool { return row.Name == name })
			if at < 0 {
				ready = false
				err = c.create(d, store.CertificateJob{Kind: store.JobServer, Name: name, KeyType: keyType})
			} else if ready = ready && rows[at].Chain != ""; rows[at].KeyType != keyType {
				rows[at].KeyType = keyType
				beginAnew(&rows[at], d.now)
				err = d.CertificateJobs().Update(d.ctx, rows[at])
			}
			if err != nil {
				return err
			}
		}
		for _, row := range rows {
			if !slices.Contains(names, row.Name) && (ready || row.Chain == "") {
				if err := d.CertificateJobs().Delete(d.ctx, row.Account, row.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (c Certificates) create(d *draft, job store.CertificateJob) error {
	job.ID, job.CreatedAt, job.UpdatedAt = newID("cj", d.now), d.now, d.now
	job.DueAt, job.StartedAt = d.now, d.now
	return d.CertificateJobs().Create(d.ctx, job)
}

const (
	// endpointLife is for how long after its last use the certificate of a name is renewed
	// that somebody has bound without reserving it.
	endpointLife = Reservation
	// endpointTouch is how exactly the time of last use is kept.
	endpointTouch = 24 * time.Hour
)

// WantEndpoint has the work begin on a certificate for a name that an account has bound,
// unless it has begun. admit is asked before; where it says no nothing is done.
func (c Certificates) WantEndpoint(ctx context.Context, account postern.AccountID, name postern.Hostname, keyType string, admit func() bool) (begun bool, err error) {
	named := store.And{store.Equal("kind", string(store.JobEndpoint)), store.Equal("name", string(name))}
	var rows []store.CertificateJob
	err = c.service.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		rows, err = tx.CertificateJobs().List(ctx, store.Page{Limit: 1, Where: named})
		return err
	})
	if err != nil || len(rows) > 0 && c.service.now().Sub(rows[0].UsedAt) < endpointTouch && rows[0].Account == account {
		return false, err
	}
	err = c.service.change(ctx, func(d *draft) error {
		begun = false
		rows, err := d.CertificateJobs().List(d.ctx, store.Page{Limit: 1, Where: named})
		if err != nil {
			return err
		}
		switch {
		case len(rows) > 0 && rows[0].Account == account:
			rows[0].UsedAt = d.now
			return d.CertificateJobs().Update(d.ctx, rows[0])
		case len(rows) > 0: // the name went over to another account, which gets a key of its own
			if err := d.CertificateJobs().Delete(d.ctx, rows[0].Account, rows[0].ID); err != nil {
				return err
			}
		}
		covers := store.And{store.Equal("kind", string(store.JobDomain)), store.OneOf("name", string(name), "*."+string(name.Parent()))}
		if rows, err = d.CertificateJobs().List(d.ctx, store.Page{Limit: 1, Where: covers}); err != nil || len(rows) > 0 || !admit() {
			return err
		}
		begun = true
		job := store.CertificateJob{Kind: store.JobEndpoint, Name: name, KeyType: keyType, UsedAt: d.now}
		job.Account = account
		return c.create(d, job)
	})
	return begun, err
}

// ForgetEndpoints ends the work on certificates of names that nobody has bound for long.
func (c Certificates) ForgetEndpoints(ctx context.Context) error {
	return c.service.change(ctx, func(d *draft) error {
		lapsed := store.And{store.Equal("kind", string(store.JobEndpoint)), store.Compare{Field: "used_at", Op: store.Less, Value: d.now.Add(-endpointLife)}}
		return eachRow(d.ctx, d.CertificateJobs(), lapsed, func(row *store.CertificateJob) error {
			return d.CertificateJobs().Delete(d.ctx, row.Account, row.ID)
		})
	})
}

// DomainChallengeTarget is where a reserved wildcard's _acme-challenge record points; ""
// for what has none.
func (s *Service) DomainChallengeTarget(ctx context.Context, domain string) (target postern.Hostname, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		row, err := tx.ReservedDomains().Get(ctx, "", domain)
		target = row.ACMETarget
		return err
	})
	return target, err
}
