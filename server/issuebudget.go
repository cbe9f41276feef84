package server

import (
	"context"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// What names that are bound without being reserved may cost: an authority counts the
// certificates of a domain (Let's Encrypt 50 a week), and whoever has an account can think
// of names. What is refused waits for its turn; visitors are shown the server's own CA's
// certificate meanwhile.
const (
	accountBurst, accountEvery = 10, 6 * time.Minute
	serverBurst, serverEvery   = 40, 15 * time.Minute
)

// issueBudget admits the beginning of work on certificates.
type issueBudget struct {
	mu       sync.Mutex
	server   allowance
	accounts map[postern.AccountID]*allowance
}

// allowance is a token bucket: what was taken, as of a time.
type allowance struct {
	taken float64
	at    time.Time
}

func newIssueBudget() *issueBudget {
	return &issueBudget{accounts: make(map[postern.AccountID]*allowance)}
}

// admit takes one of the account's and of the server's, or nothing.
func (b *issueBudget) admit(account postern.AccountID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	own := b.accounts[account]
	if own == nil {
		own = &allowance{}
		b.accounts[account] = own
	}
	own.refill(now, accountEvery)
	b.server.refill(now, serverEvery)
	if own.taken+1 > accountBurst || b.server.taken+1 > serverBurst {
		return false
	}
	own.taken++
	b.server.taken++
	return true
}

// tidy forgets accounts that have all of theirs.
func (b *issueBudget) tidy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for account, own := range b.accounts {
		if own.refill(time.Now(), accountEvery); own.taken == 0 {
			delete(b.accounts, account)
		}
	}
}

func (a *allowance) refill(now time.Time, every time.Duration) {
	a.taken = max(0, a.taken-float64(now.Sub(a.at))/float64(every))
	a.at = now
}

// askCovered is how often the store is told that a name which has a certificate is still
// in use.
const askCovered = 6 * time.Hour

// wantBound has the work begin for what is bound now, as the budget allows.
func (s *Server) wantBound(ctx context.Context, asked map[postern.Hostname]time.Time) {
	online := make(map[postern.Hostname]bool)
	for _, endpoint := range s.cluster.Endpoints() {
		name := endpoint.URL.Host
		online[name] = true
		if !s.wantsEndpoint(endpoint) {
			continue
		}
		covered, every := s.index.Covered(name), lookOwn
		if covered {
			every = askCovered
		}
		if time.Since(asked[name]) < every {
			continue
		}
		asked[name] = time.Now()
		begun, err := s.service.Certificates().WantEndpoint(ctx, endpoint.Account, name, s.config.ACME.KeyType, func() bool { return !covered && s.budget.admit(endpoint.Account) })
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.WarnContext(ctx, "a certificate for a bound name has to wait", "name", name, "error", postern.AsError(err))
		case begun:
			s.manager.Wake()
		}
	}
	for name := range asked {
		if !online[name] {
			delete(asked, name)
		}
	}
}

// wantsEndpoint tells whether an endpoint's visitors are to be shown a certificate of ours
// that no other work is about.
func (s *Server) wantsEndpoint(e postern.Endpoint) bool {
	name := e.URL.Host
	byUs := e.URL.Scheme == postern.HTTPS || e.URL.Scheme == postern.TLS && e.Options.CertificatePEM == "" && (e.Options.Termination == postern.AtEdge || s.endedByPolicy(e))
	switch {
	case !byUs || e.URL.Internal() || name == "" || name.Wildcard() || name.Internal():
		return false
	case !s.own(name):
		return true
	case s.config.TLS.Mode != ModeACME:
		return false // by the local CA, or out of files
	}
	return !s.provesRecords() || name.Parent() != s.config.Domain && name.Parent() != s.config.BaseDomain()
}

// endedByPolicy tells whether the policy of a tls endpoint has us show our certificate.
func (s *Server) endedByPolicy(e postern.Endpoint) bool {
	if e.Options.Policy == "" {
		return false
	}
	program, err := s.compiled(e)
	return err == nil && program.ShowsServers()
}
