package acme_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/store"
)

// table keeps jobs, accounts and challenges as the store does, in memory.
type table struct {
	mu         sync.Mutex
	jobs       map[string]store.CertificateJob
	inForce    map[string]*x509.Certificate
	accounts   map[acme.AccountName]acme.Account
	challenges map[string]store.ACMEChallenge
	issued     []time.Time
	next       int
}

func newTable(jobs ...store.CertificateJob) *table {
	t := &table{jobs: make(map[string]store.CertificateJob), inForce: make(map[string]*x509.Certificate),
		accounts: make(map[acme.AccountName]acme.Account), challenges: make(map[string]store.ACMEChallenge)}
	for _, job := range jobs {
		t.jobs[job.ID] = job
	}
	return t
}

func (t *table) Claim(_ context.Context, process string, until time.Time, most int) (due []store.CertificateJob, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for id, job := range t.jobs {
		if len(due) < most && !job.DueAt.After(now) && (job.LeasedBy == "" || job.LeasedUntil.Before(now)) {
			job.LeasedBy, job.LeasedUntil = process, until
			t.jobs[id] = job
			due = append(due, job)
		}
	}
	return due, nil
}

func (t *table) Leaf(_ context.Context, job store.CertificateJob) (*x509.Certificate, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inForce[job.ID], nil
}

func (t *table) Save(_ context.Context, job store.CertificateJob) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	job.LeasedBy, job.LeasedUntil = "", time.Time{}
	t.jobs[job.ID] = job
	return nil
}

func (t *table) Issue(ctx context.Context, job store.CertificateJob, issued acme.Issued) error {
	t.mu.Lock()
	t.inForce[job.ID] = issued.Leaf
	t.issued = append(t.issued, time.Now())
	t.mu.Unlock()
	return t.Save(ctx, job)
}

func (t *table) Account(_ context.Context, name acme.AccountName, fresh func() (acme.Account, error)) (acme.Account, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, found := t.accounts[name]
	if !found {
		var err error
		if known, err = fresh(); err != nil {
			return known, err
		}
		t.accounts[name] = known
	}
	return known, nil
}

func (t *table) Located(_ context.Context, name acme.AccountName, location string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.accounts[name]
	known.Location = location
	t.accounts[name] = known
	return nil
}

func (t *table) PutChallenge(_ context.Context, c store.ACMEChallenge) (store.ACMEChallenge, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	c.ID = fmt.Sprint("ch_", t.next)
	t.challenges[c.ID] = c
	return c, nil
}

func (t *table) DeleteChallenge(_ context.Context, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.challenges, id)
	return nil
}

func (t *table) PendingChallenges(context.Context) (all []store.ACMEChallenge, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.challenges {
		all = append(all, one)
	}
	return all, nil
}

// job reads one.
func (t *table) job(id string) store.CertificateJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs[id]
}

// authority signs with a key of its own, by the clock of whoever asks, and does what a
// test tells it.
type authority struct {
	t    *testing.T
	url  string
	root *certify.Made
	life time.Duration

	mu     sync.Mutex
	serial int64
	asked  []time.Time
	fail   func(at time.Time) error
	window func(*x509.Certificate) (acme.Window, error)
}

func newAuthority(t *testing.T, url string, life time.Duration) *authority {
	t.Helper()
	root := certify.New(t, url, nil, certify.Authority, certify.Valid(time.Now(), time.Now().AddDate(20, 0, 0)))
	return &authority{t: t, url: url, root: root, life: life}
}

func (a *authority) URL() string { return a.url }

func (a *authority) Obtain(_ context.Context, r acme.Request) (acme.Issued, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, time.Now())
	if a.fail != nil {
		if err := a.fail(time.Now()); err != nil {
			return acme.Issued{}, err
		}
	}
	a.serial++
	from := time.Now().Truncate(time.Second)
	made := certify.New(a.t, string(r.Names[0]), a.root, certify.Serial(a.serial+1), certify.Valid(from, from.Add(a.life)))
	return acme.Issued{Directory: a.url, Chain: []byte(certify.Chain(made)), Leaf: made.Certificate, Key: made.Key}, nil
}

func (a *authority) Renewal(_ context.Context, leaf *x509.Certificate) (acme.Window, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.window == nil {
		return acme.Window{}, nil
	}
	return a.window(leaf)
}

// times are when it was asked for certificates.
func (a *authority) times() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Time(nil), a.asked...)
}

// set changes what it does.
func (a *authority) set(change func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// wanted is a job that is due.
func wanted(name string) store.CertificateJob {
	return store.CertificateJob{Meta: store.Meta{ID: "cj_" + name}, Kind: store.JobDomain, Name: postern.Hostname(name), KeyType: acme.ECDSA, DueAt: time.Now(), StartedAt: time.Now()}
}
