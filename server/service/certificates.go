package service

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/store"
)

// Where keys of what the server gets for itself are sealed: neither may change.
const (
	sealedJob         = "certificate_job"
	sealedACMEAccount = "acme_account"
)

// Certificates is the table of jobs, accounts and challenges from which the server gets
// certificates by itself. It implements what package acme needs of a store.
type Certificates struct{ service *Service }

var (
	_ acme.Jobs           = Certificates{}
	_ acme.Accounts       = Certificates{}
	_ acme.ChallengeStore = Certificates{}
)

// Certificates returns it.
func (s *Service) Certificates() Certificates { return Certificates{s} }

// Claim implements acme.Jobs.
func (c Certificates) Claim(ctx context.Context, process string, until time.Time, most int) ([]store.CertificateJob, error) {
	due := func(now time.Time) store.Page {
		return store.Page{Limit: most, Where: store.And{
			store.Compare{Field: "due_at", Op: store.AtMost, Value: now},
			store.Or{store.Equal("leased_by", ""), store.Compare{Field: "leased_until", Op: store.Less, Value: now}},
		}}
	}
	// Most of the time nothing is due, and nobody waits for a transaction that writes.
	var jobs []store.CertificateJob
	err := c.service.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		jobs, err = tx.CertificateJobs().List(ctx, due(c.service.now()))
		return err
	})
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	err = c.service.change(ctx, func(d *draft) (err error) {
		if jobs, err = d.CertificateJobs().List(d.ctx, due(d.now)); err != nil {
			return err
		}
		for i := range jobs {
			jobs[i].LeasedBy, jobs[i].LeasedUntil, jobs[i].UpdatedAt = process, until, d.now.Truncate(time.Microsecond) // as the database has it
			if err := d.CertificateJobs().Update(d.ctx, jobs[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return jobs, err
}

// Leaf implements acme.Jobs.
func (c Certificates) Leaf(ctx context.Context, job store.CertificateJob) (*x509.Certificate, error) {
	chain := job.Chain
	if job.Certificate != "" {
		var row store.TLSCertificate
		err := c.service.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
			row, err = tx.TLSCertificates().Get(ctx, job.Account, job.Certificate)
			return err
		})
		if err != nil {
			return nil, err
		}
		chain = row.Chain
	}
	if chain == "" {
		return nil, nil //nolint:nilnil // as the interface says
	}
	return storedLeaf(job.ID, chain)
}

// Save implements acme.Jobs.
func (c Certificates) Save(ctx context.Context, job store.CertificateJob) error {
	return c.finish(ctx, job, nil)
}

// Issue implements acme.Jobs.
func (c Certificates) Issue(ctx context.Context, job store.CertificateJob, issued acme.Issued) error {
	return c.finish(ctx, job, &issued)
}

// finish writes down what became of a job that a process has leased.
func (c Certificates) finish(ctx context.Context, job store.CertificateJob, issued *acme.Issued) error {
	return c.service.change(ctx, func(d *draft) error {
		current, err := d.CertificateJobs().Get(d.ctx, "", job.ID)
		if postern.HasCode(err, postern.CodeNotFound) {
			return nil // what it was for is gone, and with it whoever wanted to know
		}
		if err != nil {
			return err
		}
		next := job
		if !current.UpdatedAt.Equal(job.UpdatedAt) { // somebody else's since, or to begin anew
			if issued == nil {
				return nil
			}
			next = current
			next.Directory, next.NotBefore, next.NotAfter, next.RenewsAt, next.CheckAt = job.Directory, job.NotBefore, job.NotAfter, job.RenewsAt, job.CheckAt
		} else {
			next.LeasedBy, next.LeasedUntil, next.UpdatedAt = "", time.Time{}, d.now
			next.Certificate, next.Chain, next.PrivateKey, next.UsedAt = current.Certificate, current.Chain, current.PrivateKey, current.UsedAt
		}
		if issued != nil {
			if err := c.putIssued(d, &next, issued); err != nil {
				return err
			}
		}
		if err := d.CertificateJobs().Update(d.ctx, next); err != nil {
			return err
		}
		if issued == nil && next.Message == current.Message {
			return nil // nothing that anybody is shown
		}
		return c.tell(d, next, current.Certificate, issued != nil)
	})
}

// putIssued stores a certificate where a job has its own.
func (c Certificates) putIssued(d *draft, job *store.CertificateJob, issued *acme.Issued) error {
	key, err := issued.KeyPEM()
	if err != nil {
		return err
	}
	if job.Kind == store.JobServer || job.Kind == store.JobEndpoint {
		block, _ := pem.Decode(key)
		job.Chain = string(issued.Chain)
		job.PrivateKey, err = c.service.seal(d, sealedJob, job.ID, sealedKey, block.Bytes)
		return err
	}
	row := store.TLSCertificate{
		Meta:     store.Meta{ID: newID("cert", d.now), Account: job.Account, CreatedAt: d.now, UpdatedAt: d.now, Description: "Managed certificate of " + string(job.Name)},
		IssuedAt: d.now,
	}
	if err := c.service.setCertificate(d, &row, string(issued.Chain), string(key)); err != nil {
		return err
	}
	if err := d.TLSCertificates().Create(d.ctx, row); err != nil {
		return err
	}
	job.Certificate = row.ID
	all := c.service.TLSCertificates()
	_, err = all.tell(d, byServer(job.Account), all.events.created, &row)
	return err
}

// tell puts a new certificate into force where it belongs, deletes the one before, and
// records what has changed.
func (c Certificates) tell(d *draft, job store.CertificateJob, before string, issued bool) error {
	s, by := c.service, byServer(job.Account)
	switch job.Kind {
	case store.JobDomain:
		row, err := d.ReservedDomains().Get(d.ctx, job.Account, job.Subject)
		if err != nil {
			return err
		}
		if issued {
			row.Certificate, row.UpdatedAt = job.Certificate, d.now
			if err := d.ReservedDomains().Update(d.ctx, row); err != nil {
				return err
			}
		}
		all := s.ReservedDomains()
		if _, err := all.tell(d, by, all.events.updated, &row); err != nil {
			return err
		}
	case store.JobIngress:
		row, err := d.AgentIngresses().Get(d.ctx, job.Account, job.Subject)
		if err != nil {
			return err
		}
		all := s.AgentIngresses()
		if _, err := all.tell(d, by, all.events.updated, &row); err != nil {
			return err
		}
	default:
		return nil // the log says it
	}
	if issued && before != job.Certificate {
		return s.dropIssued(d, job.Account, before, job.Subject)
	}
	return nil
}

// Account implements acme.Accounts.
func (c Certificates) Account(ctx context.Context, name acme.AccountName, fresh func() (acme.Account, error)) (acme.Account, error) {
	var found store.ACMEAccount
	err := c.service.change(ctx, func(d *draft) (err error) {
		if found, err = findACMEAccount(d.ctx, d.Tx, name); err != nil || found.ID != "" {
			return err
		}
		made, err := fresh()
		if err != nil {
			return err
		}
		found = store.ACMEAccount{Meta: store.Meta{ID: newID("acme", d.now), CreatedAt: d.now, UpdatedAt: d.now},
			Directory: name.Directory, Email: name.Email, EABKeyID: name.EABKeyID, Location: made.Location}
		if found.PrivateKey, err = c.service.seal(d, sealedACMEAccount, found.ID, sealedKey, made.Key); err != nil {
			return err
		}
		return d.ACMEAccounts().Create(d.ctx, found)
	})
	if err != nil {
		return acme.Account{}, err
	}
	key, err := c.service.unseal(sealedACMEAccount, found.ID, sealedKey, found.PrivateKey)
	return acme.Account{Location: found.Location, Key: key}, err
}

// Located implements acme.Accounts.
func (c Certificates) Located(ctx context.Context, name acme.AccountName, location string) error {
	return c.service.change(ctx, func(d *draft) error {
		found, err := findACMEAccount(d.ctx, d.Tx, name)
		if err != nil {
			return err
		}
		found.Location, found.UpdatedAt = location, d.now
		return d.ACMEAccounts().Update(d.ctx, found)
	})
}

func findACMEAccount(ctx context.Context, tx store.Tx, name acme.AccountName) (store.ACMEAccount, error) {
	found, err := tx.ACMEAccounts().List(ctx, store.Page{Limit: 1, Where: store.And{
		store.Equal("directory", name.Directory), store.Equal("email", name.Email), store.Equal("eab_key_id", name.EABKeyID),
	}})
	if err != nil || len(found) == 0 {
		return store.ACMEAccount{}, err
	}
	return found[0], nil
}

// PutChallenge implements acme.ChallengeStore. What has lapsed goes.
func (c Certificates) PutChallenge(ctx context.Context, challenge store.ACMEChallenge) (store.ACMEChallenge, error) {
	err := c.service.change(ctx, func(d *draft) error {
		lapsed := store.Compare{Field: "expires_at", Op: store.Less, Value: d.now}
		err := eachRow(d.ctx, d.ACMEChallenges(), lapsed, func(row *store.ACMEChallenge) error {
			return d.ACMEChallenges().Delete(d.ctx, row.Account, row.ID)
		})
		if err != nil {
			return err
		}
		challenge.Meta = store.Meta{ID: newID("ch", d.now), CreatedAt: d.now, UpdatedAt: d.now}
		return d.ACMEChallenges().Create(d.ctx, challenge)
	})
	return challenge, err
}

// DeleteChallenge implements acme.ChallengeStore.
func (c Certificates) DeleteChallenge(ctx context.Context, id string) error {
	err := c.service.change(ctx, func(d *draft) error { return d.ACMEChallenges().Delete(d.ctx, "", id) })
	if postern.HasCode(err, postern.CodeNotFound) {
		return nil
	}
	return err
}

// mostChallenges bounds what is read of them.
const mostChallenges = 10_000

// PendingChallenges implements acme.ChallengeStore.
func (c Certificates) PendingChallenges(ctx context.Context) ([]store.ACMEChallenge, error) {
	var pending []store.ACMEChallenge
	err := c.service.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		pending, err = tx.ACMEChallenges().List(ctx, store.Page{Limit: mostChallenges,
			Where: store.Compare{Field: "expires_at", Op: store.More, Value: c.service.now()}})
		return err
	})
	return pending, err
}
