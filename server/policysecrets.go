package server

import (
	"context"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
)

const (
	// secretFresh is how long a secret that a policy has asked for is not read again: so
	// long does a change take to be in force.
	secretFresh = 5 * time.Second
	// mostSecrets is how many are kept.
	mostSecrets = 1000
)

// policySecrets reads vaults for policies. While the database does not answer, what was
// read before stays good: a dead database stops no traffic.
type policySecrets struct {
	read func(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error)

	mu    sync.Mutex
	known *ledger.Ledger[secretName, knownSecret]
}

type secretName struct {
	account     postern.AccountID
	vault, name string
}

type knownSecret struct {
	value postern.Secret
	at    time.Time
}

func newPolicySecrets(read func(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error)) *policySecrets {
	return &policySecrets{read: read, known: ledger.New[secretName, knownSecret](mostSecrets)}
}

// get implements policy.World's Secret.
func (p *policySecrets) get(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error) {
	key := secretName{account, vault, name}
	p.mu.Lock()
	known, found := p.known.Get(key)
	p.mu.Unlock()
	if found && time.Since(known.at) < secretFresh {
		return known.value, nil
	}
	value, err := p.read(ctx, account, vault, name)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.known.Put(key, knownSecret{value, time.Now()})
	case postern.HasCode(err, postern.CodeNotFound) || postern.HasCode(err, postern.CodeSecretVaultUnknown):
		p.known.Remove(key)
	case found:
		return known.value, nil
	}
	return value, err
}
