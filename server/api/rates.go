package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// rates bounds what an account may ask of the API: so many requests within a minute, and
// so many at once.
type rates struct {
	perMinute, concurrent int
	now                   func() time.Time

	mu       sync.Mutex
	accounts map[postern.AccountID]*rate
}

// rate is an account's. Tokens come back evenly, as many as perMinute each minute.
type rate struct {
	tokens float64
	at     time.Time // when tokens was right
	busy   int
}

// maxIdleRates is how many accounts are remembered before those that are full again are
// forgotten.
const maxIdleRates = 1024

func newRates(perMinute, concurrent int, now func() time.Time) *rates {
	return &rates{perMinute: perMinute, concurrent: concurrent, now: now, accounts: make(map[postern.AccountID]*rate)}
}

// enter counts a request. The caller must leave when it is done. Where it is refused,
// retry is for the Retry-After header, in seconds.
func (r *rates) enter(account postern.AccountID) (leave func(), retry string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.rateOf(account)
	if one.busy >= r.concurrent {
		return nil, "1", &postern.Error{Code: postern.CodeTooManyAtOnce}
	}
	if one.tokens < 1 {
		perSecond := float64(r.perMinute) / time.Minute.Seconds()
		return nil, strconv.Itoa(int((1-one.tokens)/perSecond) + 1), postern.Errorf(postern.CodeTooManyRequests,
			"the account may send %d requests within a minute", r.perMinute)
	}
	one.tokens--
	one.busy++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		one.busy--
	}, "", nil
}

// rateOf finds the account's rate and fills it up. r.mu is held.
func (r *rates) rateOf(account postern.AccountID) *rate {
	now, full := r.now(), float64(r.perMinute)
	one := r.accounts[account]
	if one == nil {
		if len(r.accounts) >= maxIdleRates {
			r.forgetIdle(now)
		}
		one = &rate{tokens: full, at: now}
		r.accounts[account] = one
	}
	// A clock that was set back gives nothing, and takes nothing away.
	one.tokens = min(full, one.tokens+full*max(0, now.Sub(one.at)).Minutes())
	one.at = now
	return one
}

// forgetIdle forgets whom a minute without requests has given all its tokens back. r.mu
// is held.
func (r *rates) forgetIdle(now time.Time) {
	for account, one := range r.accounts {
		if one.busy == 0 && now.Sub(one.at) > time.Minute {
			delete(r.accounts, account)
		}
	}
}
