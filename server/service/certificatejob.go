package service

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/store"
)

// wantJob has the work begin, or begin anew, on a certificate for what an account has
// reserved, as its policy says. What is in force stays until there is a better one.
func (s *Service) wantJob(d *draft, kind store.JobKind, head *store.Meta, name postern.Hostname, policy store.CertificatePolicy) error {
	row, err := s.findJob(d.ctx, d.Tx, head.ID)
	if err != nil {
		return err
	}
	if row.ID != "" {
		if row.KeyType == policy.KeyType {
			return nil
		}
		row.KeyType = policy.KeyType
		beginAnew(&row, d.now)
		return d.CertificateJobs().Update(d.ctx, row)
	}
	return d.CertificateJobs().Create(d.ctx, store.CertificateJob{
		Meta: store.Meta{ID: newID("cj", d.now), Account: head.Account, CreatedAt: d.now, UpdatedAt: d.now},
		Kind: kind, Subject: head.ID, Name: name, KeyType: policy.KeyType, DueAt: d.now, StartedAt: d.now,
	})
}

// beginAnew forgets what became of earlier attempts. Who works on it notices by UpdatedAt.
func beginAnew(row *store.CertificateJob, now time.Time) {
	row.DueAt, row.StartedAt, row.UpdatedAt = now, now, now
	row.Attempts, row.ErrorCode, row.Message, row.RetriesAt = 0, "", "", time.Time{}
	row.LeasedBy, row.LeasedUntil = "", time.Time{}
}

// bringForward has work that waits because records were wrong go on now. An authority
// counts failures: what has just been tried waits all the same.
func (s *Service) bringForward(ctx context.Context, account postern.AccountID, subject string) error {
	const rest = 5 * time.Second
	brought := false
	err := s.change(ctx, func(d *draft) error {
		brought = false
		row, err := s.findJob(d.ctx, d.Tx, subject)
		if err != nil || row.ID == "" || row.Account != account || row.ErrorCode != acme.RecordsError || row.LeasedBy != "" ||
			!row.DueAt.After(d.now) || d.now.Sub(row.UpdatedAt) < rest {
			return err
		}
		row.DueAt, row.RetriesAt, row.UpdatedAt, brought = d.now, d.now, d.now, true
		return d.CertificateJobs().Update(d.ctx, row)
	})
	if err == nil && brought && s.checks.Mended != nil {
		s.checks.Mended()
	}
	return err
}

// dropJob ends the work on a certificate, and deletes what it has got, unless something
// else has that too.
func (s *Service) dropJob(d *draft, subject string) error {
	row, err := s.findJob(d.ctx, d.Tx, subject)
	if err != nil || row.ID == "" {
		return err
	}
	if err := d.CertificateJobs().Delete(d.ctx, row.Account, row.ID); err != nil {
		return err
	}
	return s.dropIssued(d, row.Account, row.Certificate, subject)
}

// dropIssued deletes a certificate that the server got by itself and that nothing but
// subject has.
func (s *Service) dropIssued(d *draft, account postern.AccountID, id, subject string) error {
	if id == "" {
		return nil
	}
	certificate, err := d.TLSCertificates().Get(d.ctx, account, id)
	if postern.HasCode(err, postern.CodeNotFound) {
		return nil
	}
	if err != nil || certificate.IssuedAt.IsZero() {
		return err
	}
	others := store.And{store.Equal("certificate_id", id), store.Compare{Field: "id", Op: store.Differs, Value: subject}}
	domains, err := d.ReservedDomains().List(d.ctx, store.Page{Account: account, Limit: 1, Where: others})
	if err != nil || len(domains) > 0 {
		return err
	}
	all := s.TLSCertificates()
	if _, err := all.tell(d, byServer(account), all.events.deleted, &certificate); err != nil {
		return err
	}
	return d.TLSCertificates().Delete(d.ctx, account, id)
}

// findJob is the job of what has an id; the zero value where there is none.
func (s *Service) findJob(ctx context.Context, tx store.Tx, subject string) (store.CertificateJob, error) {
	found, err := tx.CertificateJobs().List(ctx, store.Page{Limit: 1, Where: store.Equal("subject_id", subject)})
	if err != nil || len(found) == 0 {
		return store.CertificateJob{}, err
	}
	return found[0], nil
}

// byServer is the server itself, which does something of an account's.
func byServer(account postern.AccountID) Caller {
	return Caller{Account: account, Role: postern.Owner, Source: SourceServer}
}

// inProgress is what clients expect to read of work that has begun.
const inProgress = "Managed certificate provisioning in progress."

// showManagement gives the API's form of a policy and how far it has come.
func (s *Service) showManagement(from reader, subject string, policy store.CertificatePolicy, since time.Time) (*resource.CertificatePolicy, *resource.CertificateStatus, error) {
	if policy == (store.CertificatePolicy{}) {
		return nil, nil, nil
	}
	shown := &resource.CertificatePolicy{Authority: policy.Authority, PrivateKeyType: policy.KeyType}
	job, err := s.findJob(from.ctx, from.Tx, subject)
	if err != nil {
		return nil, nil, err
	}
	status := &resource.CertificateStatus{}
	if job.ID == "" { // it is about to be made, or was deleted
		status.ProvisioningJob = &resource.ProvisioningJob{Msg: inProgress, StartedAt: resource.Moment(since)}
		return shown, status, nil
	}
	status.RenewsAt = momentOrNil(job.RenewsAt)
	if !job.StartedAt.IsZero() {
		status.ProvisioningJob = &resource.ProvisioningJob{ErrorCode: orNil(job.ErrorCode), Msg: job.Message, StartedAt: resource.Moment(job.StartedAt), RetriesAt: momentOrNil(job.RetriesAt)}
		if job.Message == "" {
			status.ProvisioningJob.Msg = inProgress
		}
	}
	return shown, status, nil
}

// momentOrNil is a time that the API shows as null where it is zero.
func momentOrNil(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	shown := resource.Moment(at)
	return &shown
}
