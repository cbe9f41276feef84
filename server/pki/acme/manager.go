package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const (
	// jobTime bounds one attempt with one authority; leaseTime is for how long a process
	// that does a job keeps it, so that another goes on when it has died.
	jobTime, leaseTime = 8 * time.Minute, 30 * time.Minute
	// storeRetry is how long to wait for a store that does not answer.
	storeRetry = 10 * time.Second
)

// Jobs keeps the work where all processes find it.
type Jobs interface {
	// Claim leases jobs that are due and that nobody has leased.
	Claim(ctx context.Context, process string, until time.Time, most int) ([]store.CertificateJob, error)
	// Leaf is the certificate of a job that is in force; nil: there is none.
	Leaf(ctx context.Context, job store.CertificateJob) (*x509.Certificate, error)
	// Save stores what has changed of a job and ends its lease. One that is gone, or that
	// somebody else has, is left as it is.
	Save(ctx context.Context, job store.CertificateJob) error
	// Issue is Save with a certificate that is in force from then on.
	Issue(ctx context.Context, job store.CertificateJob, issued Issued) error
}

// Config is what a Manager needs. All fields but Check, Every and AtOnce are required.
type Config struct {
	Jobs        Jobs
	Authorities []Authority // the first one that issues will do
	// Names are those that a job's certificate is for.
	Names func(store.CertificateJob) []postern.Hostname
	// Proofs are the ways to prove them, the best first; an error, a *Failure at best, says
	// why there is none.
	Proofs func(ctx context.Context, job store.CertificateJob) ([]Proof, error)
	// Check looks at records before an authority does, which counts failures; nil: nobody
	// looks. Its error is a *Failure.
	Check func(ctx context.Context, job store.CertificateJob, proof Proof) error

	Process string        // whose leases are ours
	Every   time.Duration // how often to look for jobs when nobody calls Wake; 0: 20 s
	AtOnce  int           // jobs at once; 0: 4
	Logger  *slog.Logger
}

// Manager does the jobs. Make one with NewManager and Run it.
type Manager struct {
	config Config
	wake   chan struct{}
	pauses pauses
}

// NewManager returns a Manager that does nothing before Run.
func NewManager(c Config) *Manager {
	if c.Every <= 0 {
		c.Every = 20 * time.Second
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 4
	}
	return &Manager{config: c, wake: make(chan struct{}, 1), pauses: pauses{until: make(map[string]time.Time)}}
}

// Wake has Run look for jobs now. It never blocks.
func (m *Manager) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run does jobs as they become due until ctx ends, then gives back those under way, and
// returns nil.
func (m *Manager) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	free := make(chan struct{}, m.config.AtOnce)
	for range m.config.AtOnce {
		free <- struct{}{}
	}
	for {
		wait := m.config.Every
		if idle := len(free); idle > 0 {
			jobs, err := m.config.Jobs.Claim(ctx, m.config.Process, time.Now().Add(leaseTime), idle)
			if err != nil && ctx.Err() == nil {
				m.config.Logger.WarnContext(ctx, "certificates that are due cannot be looked up", "error", postern.AsError(err))
				wait = storeRetry
			}
			for _, job := range jobs {
				<-free
				working.Go(func() {
					m.do(ctx, job)
					free <- struct{}{}
					m.Wake()
				})
			}
		}
		look := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			look.Stop()
			return nil
		case <-m.wake:
		case <-look.C:
		}
		look.Stop()
	}
}

// do does one job and writes down what became of it.
func (m *Manager) do(ctx context.Context, job store.CertificateJob) {
	log := m.config.Logger.With("name", job.Name, "job", job.ID)
	leaf, err := m.config.Jobs.Leaf(ctx, job)
	if err != nil {
		log.WarnContext(ctx, "the certificate in force cannot be read", "error", err)
	}
	now := time.Now()
	if leaf != nil && job.StartedAt.IsZero() && now.Before(job.RenewsAt) {
		if m.ask(ctx, &job, leaf, log); now.Before(job.RenewsAt) {
			m.save(ctx, job, log)
			return
		}
	}
	if job.StartedAt.IsZero() {
		job.StartedAt = now
	}
	issued, err := m.obtain(ctx, job, leaf)
	switch {
	case ctx.Err() != nil:
		job.DueAt = now // goes on elsewhere, or here later
		m.save(ctx, job, log)
	case err != nil:
		m.fail(ctx, job, leaf, err, log)
	default:
		m.succeed(ctx, job, issued, log)
	}
}

// ask has the authority say when it wants a certificate renewed.
func (m *Manager) ask(ctx context.Context, job *store.CertificateJob, leaf *x509.Certificate, log *slog.Logger) {
	now := time.Now()
	window, err := m.window(ctx, job.Directory, leaf)
	if err != nil {
		log.InfoContext(ctx, "the authority does not say when to renew a certificate; it is renewed at two thirds of its life, or when the authority has said before", "error", err)
	}
	m.plan(job, leaf, window, now)
}

func (m *Manager) window(ctx context.Context, directory string, leaf *x509.Certificate) (Window, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, authority := range m.config.Authorities {
		if authority.URL() == directory {
			return authority.Renewal(ctx, leaf)
		}
	}
	return Window{}, nil
}

// plan says when a certificate is renewed, and when its authority is asked again.
func (m *Manager) plan(job *store.CertificateJob, leaf *x509.Certificate, window Window, now time.Time) {
	seed := job.ID + leaf.SerialNumber.String()
	switch {
	case !window.Start.IsZero() && window.End.After(window.Start):
		job.RenewsAt = window.pick(leaf.NotBefore, leaf.NotAfter, seed)
	case job.RenewsAt.IsZero() || job.RenewsAt.After(leaf.NotAfter):
		job.RenewsAt = renewAt(leaf.NotBefore, leaf.NotAfter, seed) // what an authority has said before stays
	}
	job.CheckAt = window.nextCheck(now)
	job.DueAt = job.CheckAt
	if job.RenewsAt.Before(job.DueAt) {
		job.DueAt = job.RenewsAt
	}
}

// obtain asks one authority after another.
func (m *Manager) obtain(ctx context.Context, job store.CertificateJob, leaf *x509.Certificate) (Issued, error) {
	proofs, err := m.config.Proofs(ctx, job)
	if err != nil {
		return Issued{}, err
	}
	// Each attempt takes another way than the one before.
	proof := proofs[job.Attempts%len(proofs)]
	if m.config.Check != nil {
		if err := m.config.Check(ctx, job, proof); err != nil {
			return Issued{}, err
		}
	}
	var failures []error
	for _, authority := range m.config.Authorities {
		if until := m.pauses.of(authority.URL()); time.Now().Before(until) && len(m.config.Authorities) > 1 {
			failures = append(failures, &Failure{Code: postern.CodeAuthorityRate, Elsewhere: true, Message: nameOf(authority.URL()) + " is not asked again before " + until.UTC().Format(time.RFC3339) + "."})
			continue
		}
		request := Request{Names: m.config.Names(job), KeyType: job.KeyType, Proof: proof}
		if job.Directory == authority.URL() {
			request.Replaces = leaf
		}
		attempt, cancel := context.WithTimeout(ctx, jobTime)
		issued, err := authority.Obtain(attempt, request)
		cancel()
		if err == nil {
			return issued, nil
		}
		failures = append(failures, err)
		failure, known := errors.AsType[*Failure](err)
		if known && (failure.Code == postern.CodeAuthorityRate || failure.Code == postern.CodeAuthorityUnreachable) {
			m.pauses.set(authority.URL(), failure.After)
		}
		if ctx.Err() != nil || known && !failure.Elsewhere {
			break
		}
	}
	return Issued{}, join(failures)
}

// join makes one failure of those of several authorities: the last one's, with the
// others' words before it. Only where all have named a time is there one, the earliest.
func join(failures []error) error {
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	joined := &Failure{}
	for i, err := range failures {
		one, known := errors.AsType[*Failure](err)
		if !known {
			return err
		}
		if i > 0 {
			joined.Message += " "
		}
		joined.Message += one.Message
		joined.Code, joined.Records, joined.cause = one.Code, joined.Records || one.Records, one
		if i == 0 || one.After.Before(joined.After) {
			joined.After = one.After
		}
	}
	return joined
}

// What the API shows of a failure.
const (
	RecordsError  = "DNS_ERROR"
	internalError = "INTERNAL_ERROR"
)

// fail writes down why there is no certificate, and when it is tried again. What is in
// force stays there.
func (m *Manager) fail(ctx context.Context, job store.CertificateJob, leaf *x509.Certificate, err error, log *slog.Logger) {
	failure, known := errors.AsType[*Failure](err)
	if !known {
		failure = &Failure{Code: postern.CodeInternal, Message: "The server has a problem of its own; its log has the details", cause: err}
	}
	now, left := time.Now(), time.Duration(0)
	if leaf != nil {
		left = leaf.NotAfter.Sub(now)
	}
	job.Attempts++
	job.ErrorCode, job.Message = internalError, failure.Error()
	if failure.Records {
		job.ErrorCode = RecordsError
	}
	job.RetriesAt = now.Add(retryAfter(job.Attempts, left))
	if failure.After.After(job.RetriesAt) {
		job.RetriesAt = failure.After
	}
	job.DueAt = job.RetriesAt
	log.WarnContext(ctx, "no certificate could be had", "error", err, "attempt", job.Attempts, "retries_at", job.RetriesAt, "valid_until", job.NotAfter)
	m.save(ctx, job, log)
}

// succeed puts a certificate into force.
func (m *Manager) succeed(ctx context.Context, job store.CertificateJob, issued Issued, log *slog.Logger) {
	job.StartedAt, job.Attempts, job.ErrorCode, job.Message, job.RetriesAt = time.Time{}, 0, "", "", time.Time{}
	job.Directory, job.NotBefore, job.NotAfter, job.RenewsAt = issued.Directory, issued.Leaf.NotBefore, issued.Leaf.NotAfter, time.Time{}
	m.ask(ctx, &job, issued.Leaf, log)
	until := time.Now().Add(leaseTime / 2)
	for {
		err := m.config.Jobs.Issue(ctx, job, issued)
		if err == nil {
			log.InfoContext(ctx, "a certificate was issued", "directory", issued.Directory, "valid_until", job.NotAfter, "renews_at", job.RenewsAt)
			return
		}
		// An authority counts certificates: this one is not thrown away while the store is
		// away for a moment.
		log.ErrorContext(ctx, "a certificate that was issued cannot be stored", "error", err)
		if !postern.HasCode(err, postern.CodeStoreUnavailable) || time.Now().After(until) || rest(ctx, storeRetry) != nil {
			return
		}
	}
}

func (m *Manager) save(ctx context.Context, job store.CertificateJob, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeRetry)
	defer cancel()
	if err := m.config.Jobs.Save(ctx, job); err != nil {
		log.WarnContext(ctx, "the state of a certificate cannot be stored; its lease ends by itself", "error", err)
	}
}

// pauses are how long authorities are not asked while there are others.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (p *pauses) of(url string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until[url]
}

// mostPause bounds a pause: a refusal may be about one domain only.
const mostPause = 10 * time.Minute

func (p *pauses) set(url string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if most := time.Now().Add(mostPause); until.IsZero() || until.After(most) {
		until = most
	}
	p.until[url] = until
}
