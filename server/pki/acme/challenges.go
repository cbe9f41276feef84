package acme

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3"
	acmewire "github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/server/store"
)

// ALPN is the protocol by which an authority asks for a proof in a TLS handshake (RFC 8737).
const ALPN = acmez.ACMETLS1Protocol

const (
	// rereadEvery is how often strangers may have us look whether another process has
	// prepared a challenge.
	rereadEvery = 200 * time.Millisecond
	// rereadTime bounds how long they wait for it.
	rereadTime = 2 * time.Second
	// challengeLife is after what time nobody looks at a challenge any more.
	challengeLife = 30 * time.Minute
)

// ChallengeStore keeps challenges where all processes find them.
type ChallengeStore interface {
	PutChallenge(ctx context.Context, c store.ACMEChallenge) (store.ACMEChallenge, error)
	DeleteChallenge(ctx context.Context, id string) error
	// PendingChallenges are all that nobody has deleted and that have not lapsed.
	PendingChallenges(ctx context.Context) ([]store.ACMEChallenge, error)
}

// Challenges answers authorities that look for proofs. Its methods may be called from
// anywhere. What strangers ask for is looked up in memory; what is not there has the
// store asked, a few times a second in all, because another process may have put it there.
type Challenges struct {
	store  ChallengeStore
	rounds run.Rounds[struct{}]

	behind     atomic.Bool // the store is being asked in the background
	background sync.WaitGroup

	mu      sync.Mutex
	pending map[string]store.ACMEChallenge // by id
	next    time.Time                      // when the store may be asked again
}

// NewChallenges returns those of a store.
func NewChallenges(from ChallengeStore) *Challenges {
	return &Challenges{store: from, pending: make(map[string]store.ACMEChallenge)}
}

// HTTP gives what is to be answered to GET /.well-known/acme-challenge/TOKEN for a host;
// false: nothing of ours.
func (c *Challenges) HTTP(ctx context.Context, host postern.Hostname, token string) (string, bool) {
	found := c.find(ctx, func(one store.ACMEChallenge) bool {
		return one.Kind == string(HTTP01) && one.Token == token && one.Name == host
	})
	if len(found) == 0 {
		return "", false
	}
	return found[0].Value, true
}

// Certificate gives what is to be shown in a handshake of the protocol ALPN for a host;
// nil: there is no challenge of ours for it.
func (c *Challenges) Certificate(ctx context.Context, host postern.Hostname) *tls.Certificate {
	found := c.find(ctx, func(one store.ACMEChallenge) bool { return one.Kind == string(TLSALPN01) && one.Name == host })
	if len(found) == 0 {
		return nil
	}
	certificate, err := acmez.TLSALPN01ChallengeCert(acmewire.Challenge{
		Identifier: acmewire.Identifier{Type: "dns", Value: string(host)}, KeyAuthorization: found[0].Value,
	})
	if err != nil {
		return nil
	}
	return certificate
}

// TXT gives the texts of a name's TXT records. It never blocks: where there are none it
// has the store asked in the background, for resolvers ask again.
func (c *Challenges) TXT(name postern.Hostname) []string {
	var texts []string
	for _, one := range c.known(func(one store.ACMEChallenge) bool { return one.Kind == string(DNS01) && one.Name == name }) {
		texts = append(texts, one.Value)
	}
	if len(texts) == 0 && c.behind.CompareAndSwap(false, true) {
		c.background.Go(c.rereadBehind)
	}
	return texts
}

// rereadBehind is reread for those who do not wait.
func (c *Challenges) rereadBehind() {
	defer c.behind.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), rereadTime)
	defer cancel()
	_, _ = c.rounds.Do(ctx, func() (struct{}, error) { return struct{}{}, c.reread(ctx) }) // who asks next tries again
}

// Close waits for what is under way. Nobody may ask any more.
func (c *Challenges) Close() { c.background.Wait() }

// find looks in memory, and once more after the store was asked.
func (c *Challenges) find(ctx context.Context, meant func(store.ACMEChallenge) bool) []store.ACMEChallenge {
	if found := c.known(meant); len(found) > 0 {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, rereadTime)
	defer cancel()
	if _, err := c.rounds.Do(ctx, func() (struct{}, error) { return struct{}{}, c.reread(ctx) }); err != nil {
		return nil
	}
	return c.known(meant)
}

func (c *Challenges) known(meant func(store.ACMEChallenge) bool) []store.ACMEChallenge {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []store.ACMEChallenge
	for _, one := range c.pending {
		if meant(one) && one.ExpiresAt.After(now) {
			found = append(found, one)
		}
	}
	return found
}

// reread asks the store, when it is time to. What this process puts there meanwhile stays.
func (c *Challenges) reread(ctx context.Context) error {
	c.mu.Lock()
	wait := time.Until(c.next)
	c.mu.Unlock()
	if err := rest(ctx, wait); err != nil {
		return err
	}
	began := time.Now()
	all, err := c.store.PendingChallenges(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = time.Now().Add(rereadEvery)
	if err != nil {
		return err
	}
	for id, one := range c.pending {
		if one.ExpiresAt.Before(began.Add(challengeLife)) {
			delete(c.pending, id) // it was there before the store was asked
		}
	}
	for _, one := range all {
		c.pending[one.ID] = one
	}
	return nil
}

// add puts a challenge where all processes can answer it.
func (c *Challenges) add(ctx context.Context, challenge store.ACMEChallenge) (id string, err error) {
	challenge.ExpiresAt = time.Now().Add(challengeLife)
	challenge, err = c.store.PutChallenge(ctx, challenge)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[challenge.ID] = challenge
	return challenge.ID, nil
}

func (c *Challenges) remove(ctx context.Context, id string) error {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
	return c.store.DeleteChallenge(ctx, id)
}
