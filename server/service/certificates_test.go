package service_test

import (
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// issue makes what an authority would.
func (w *world) issue(t *testing.T, name string, serial int64) acme.Issued {
	t.Helper()
	made := certify.New(t, name, nil, certify.Serial(serial), certify.Valid(w.clock.Now(), w.clock.Now().AddDate(0, 3, 0)))
	return acme.Issued{Directory: "https://ca", Chain: []byte(certify.Chain(made)), Leaf: made.Certificate, Key: made.Key}
}

// claim leases the only job that is due.
func (w *world) claim(t *testing.T) store.CertificateJob {
	t.Helper()
	jobs, err := w.Certificates().Claim(t.Context(), "this", w.clock.Now().Add(time.Hour), 10)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs are due, %v", len(jobs), err)
	}
	return jobs[0]
}

// The work on a domain's certificate from the reservation to its end: what is in force
// stays until there is a better one, and goes with the domain.
func TestCertificateOfADomain(t *testing.T) {
	w := newWorld(t)
	credential, _ := w.bootstrap(t)
	by := service.Caller{Account: credential.Account, Role: postern.Owner, Source: service.SourceServer}
	made, err := w.ReservedDomains().Create(t.Context(), by, resource.ReservedDomainCreate{Domain: "www.customer.org"})
	if err != nil {
		t.Fatal(err)
	}
	job := w.claim(t)
	if other, err := w.Certificates().Claim(t.Context(), "that", w.clock.Now().Add(time.Hour), 10); err != nil || len(other) != 0 {
		t.Errorf("another process was given %v, %v", other, err)
	}
	job.Attempts, job.ErrorCode, job.Message, job.RetriesAt, job.DueAt = 1, "DNS_ERROR", "Create a record.", w.clock.Now().Add(time.Minute), w.clock.Now().Add(time.Minute)
	if err := w.Certificates().Save(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	shown := func() resource.ReservedDomain {
		domain, err := w.ReservedDomains().Get(t.Context(), by, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		return domain
	}
	if p := shown().CertificateManagementStatus.ProvisioningJob; p == nil || *p.ErrorCode != "DNS_ERROR" || p.Msg != "Create a record." || !p.RetriesAt.Equal(job.RetriesAt) {
		t.Errorf("after a failure the work is %+v", p)
	}
	w.clock.Advance(time.Minute)
	job = w.claim(t)
	finish := func(job store.CertificateJob, serial int64) {
		job.StartedAt, job.ErrorCode, job.Message, job.RetriesAt = time.Time{}, "", "", time.Time{}
		job.RenewsAt, job.DueAt = w.clock.Now().Add(60*24*time.Hour), w.clock.Now().Add(time.Hour)
		if err := w.Certificates().Issue(t.Context(), job, w.issue(t, "www.customer.org", serial)); err != nil {
			t.Fatal(err)
		}
	}
	finish(job, 2)
	first := shown()
	if s := first.CertificateManagementStatus; first.Certificate == nil || s.ProvisioningJob != nil || s.RenewsAt == nil {
		t.Fatalf("with a certificate it is %+v, %+v", first, s)
	}
	if err := w.TLSCertificates().Delete(t.Context(), by, first.Certificate.ID); !postern.HasCode(err, postern.CodeCertificateInUse) {
		t.Errorf("a certificate in force was deleted: %v", err)
	}

	// Another type of key: the old certificate stays until the new one is there.
	changed, err := w.ReservedDomains().Update(t.Context(), by, made.ID, resource.ReservedDomainUpdate{CertificateManagementPolicy: &resource.CertificatePolicy{Authority: "letsencrypt", PrivateKeyType: "rsa"}})
	if err != nil || changed.Certificate == nil || changed.CertificateManagementStatus.ProvisioningJob == nil {
		t.Fatalf("after the change it is %+v, %v", changed, err)
	}
	job = w.claim(t)
	if job.KeyType != "rsa" {
		t.Errorf("the work is on a key of the type %q", job.KeyType)
	}
	finish(job, 3)
	second := shown()
	if second.Certificate == nil || second.Certificate.ID == first.Certificate.ID {
		t.Fatalf("the certificate is %v", second.Certificate)
	}
	if _, err := w.TLSCertificates().Get(t.Context(), by, first.Certificate.ID); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("the one before: %v", err)
	}

	// What is done for a domain that is gone meanwhile comes to nothing.
	w.clock.Advance(2 * time.Hour)
	job = w.claim(t)
	if err := w.ReservedDomains().Delete(t.Context(), by, made.ID); err != nil {
		t.Fatal(err)
	}
	finish(job, 4)
	if list, err := w.TLSCertificates().List(t.Context(), by, service.Page{Limit: 10}); err != nil || len(list.Items) != 0 {
		t.Errorf("%d certificates are left, %v", len(list.Items), err)
	}
	if served, err := w.ServedCertificates(t.Context()); err != nil || len(served) != 0 {
		t.Errorf("%v are served, %v", served, err)
	}
}

// A name that is bound without being reserved has one job, however often it is asked for;
// it goes over to who binds it, and ends when nobody does.
func TestCertificateOfABoundName(t *testing.T) {
	w := newWorld(t)
	want := func(account postern.AccountID, admits, begins bool) {
		t.Helper()
		begun, err := w.Certificates().WantEndpoint(t.Context(), account, "app.example.com", "ecdsa", func() bool { return admits })
		if err != nil || begun != begins {
			t.Errorf("begun %v, %v", begun, err)
		}
	}
	want("ac_1", false, false)
	want("ac_1", true, true)
	want("ac_1", true, false)
	first := w.claim(t)
	if err := w.Certificates().Issue(t.Context(), first, w.issue(t, "app.example.com", 2)); err != nil {
		t.Fatal(err)
	}
	served, err := w.OwnCertificates(t.Context())
	if err != nil || len(served) != 1 || served[0].Names[0] != "app.example.com" {
		t.Fatalf("served: %v, %v", served, err)
	}
	chain, key, err := w.LoadServed(t.Context(), served[0])
	if err != nil || chain == "" {
		t.Fatal(err)
	}
	if encoded, err := key(); err != nil || len(encoded) == 0 {
		t.Errorf("the key: %v", err)
	}
	want("ac_2", true, true)
	if second := w.claim(t); second.Account != "ac_2" || second.Chain != "" {
		t.Errorf("the other account was given %+v", second)
	}
	w.clock.Advance(service.Reservation + time.Hour)
	if err := w.Certificates().ForgetEndpoints(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour)
	if jobs, err := w.Certificates().Claim(t.Context(), "this", w.clock.Now().Add(time.Hour), 10); err != nil || len(jobs) != 0 {
		t.Errorf("%v are left, %v", jobs, err)
	}
}
