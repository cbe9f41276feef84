package store

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
)

// Name is a hostname that an account holds.
type Name struct {
	Host       postern.Hostname
	Account    postern.AccountID
	Credential postern.CredentialID // who claimed it first

	// Assigned tells that the server chose the name. Endpoint is then the agent's name
	// of its endpoint, Kind keeps apart series that must not share names, and Slot is
	// the place in the series of (Credential, Endpoint, Kind). Otherwise they are zero.
	Assigned bool
	Endpoint string
	Kind     string
	Slot     int

	// Installation tells which of the agents that share a series had this name online
	// last: an opaque text that only equality is asked of, "" for nobody known.
	Installation string

	CreatedAt  time.Time
	LastUsedAt time.Time
}

// Names are the reservations of hostnames.
type Names interface {
	// Get returns who holds exactly this name, however long ago it was used. It fails
	// with CodeNotFound.
	Get(ctx context.Context, host postern.Hostname) (Name, error)

	// Related returns a name that another account than account has used since, and
	// that host may not stand beside: the same name, one below it, or one above it but
	// not above domain; a wildcard counts as the name below which it reaches. It fails
	// with CodeNotFound if there is none.
	Related(ctx context.Context, host, domain postern.Hostname, account postern.AccountID, since time.Time) (Name, error)

	// Claim stores n and returns it, unless the name is there already: if the same
	// account holds it, or another that has not used it since, n replaces it. In the
	// first case only LastUsedAt changes. Otherwise nothing changes and the holder's
	// Name is returned: the caller compares accounts.
	Claim(ctx context.Context, n Name, since time.Time) (Name, error)

	// Series returns the assigned names of one credential's endpoint, by slot.
	Series(ctx context.Context, credential postern.CredentialID, endpoint, kind string) ([]Name, error)

	// Keep makes installation the last one of an assigned name; a name that nobody
	// holds, or that was not assigned, is no error and is not changed.
	Keep(ctx context.Context, host postern.Hostname, installation string) error

	// Touch moves LastUsedAt forward to at; a name that nobody holds is no error.
	Touch(ctx context.Context, host postern.Hostname, at time.Time) error

	// List returns up to limit names that sort after the name after and were used
	// since.
	List(ctx context.Context, after postern.Hostname, since time.Time, limit int) ([]Name, error)

	// Expire deletes names last used before the time and says how many.
	Expire(ctx context.Context, before time.Time) (int64, error)
}
