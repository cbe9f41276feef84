package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type accounts struct{ q *query.Queries }

func (a accounts) Create(ctx context.Context, account postern.Account) error {
	return translate(a.q.CreateAccount(ctx, query.CreateAccountParams{
		ID: account.ID, Name: account.Name, CreatedAt: account.CreatedAt.UnixMicro(),
	}))
}

func (a accounts) Get(ctx context.Context, id postern.AccountID) (postern.Account, error) {
	row, err := a.q.GetAccount(ctx, id)
	if err != nil {
		return postern.Account{}, found(err, "account", id)
	}
	return accountOf(row), nil
}

func (a accounts) List(ctx context.Context, after postern.AccountID, limit int) ([]postern.Account, error) {
	rows, err := a.q.ListAccounts(ctx, query.ListAccountsParams{After: after, Most: most(limit)})
	return each(rows, accountOf), translate(err)
}

func accountOf(row query.Account) postern.Account {
	return postern.Account{ID: row.ID, Name: row.Name, CreatedAt: instant(row.CreatedAt)}
}

type apiKeys struct{ q *query.Queries }

func (k apiKeys) Create(ctx context.Context, key store.APIKey) error {
	return translate(k.q.CreateAPIKey(ctx, query.CreateAPIKeyParams{
		ID: key.ID, AccountID: key.Account, OwnerID: key.Owner,
		Description: key.Description, Metadata: key.Metadata,
		Verifier: key.Verifier[:], CreatedAt: key.CreatedAt.UnixMicro(),
	}))
}

func (k apiKeys) Get(ctx context.Context, id postern.APIKeyID) (store.APIKey, error) {
	row, err := k.q.GetAPIKey(ctx, id)
	if err != nil {
		return store.APIKey{}, found(err, "API key", id)
	}
	return apiKeyOf(row)
}

func (k apiKeys) List(ctx context.Context, after postern.APIKeyID, limit int) ([]store.APIKey, error) {
	rows, err := k.q.ListAPIKeys(ctx, query.ListAPIKeysParams{After: after, Most: most(limit)})
	if err != nil {
		return nil, translate(err)
	}
	keys := make([]store.APIKey, len(rows))
	for i, row := range rows {
		if keys[i], err = apiKeyOf(row); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func (k apiKeys) Rotate(ctx context.Context, id postern.APIKeyID, verifier [32]byte, r postern.Rotation) error {
	rotated := rotationColumns(r)
	changed, err := k.q.RotateAPIKey(ctx, query.RotateAPIKeyParams{
		ID: id, Verifier: verifier[:], RotatedAt: rotated.at, PreviousVerifier: rotated.previous, PreviousUntil: rotated.until,
	})
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return found(err, "API key", id)
}

func (k apiKeys) Delete(ctx context.Context, id postern.APIKeyID) error {
	changed, err := k.q.DeleteAPIKey(ctx, id)
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return found(err, "API key", id)
}

func apiKeyOf(row query.ApiKey) (store.APIKey, error) {
	key := store.APIKey{
		ID: row.ID, Account: row.AccountID, Owner: row.OwnerID,
		Description: row.Description, Metadata: row.Metadata, CreatedAt: instant(row.CreatedAt),
	}
	return key, errors.Join(verifier(&key.Verifier, row.Verifier),
		rotation(&key.Rotation, row.RotatedAt, row.PreviousVerifier, row.PreviousUntil))
}

// instant reads a column of microseconds.
func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// most fits a limit into the parameter of LIMIT.
func most(limit int) int32 { return int32(min(max(limit, 0), 1<<31-1)) } //nolint:gosec // bounded here

func each[From, To any](rows []From, convert func(From) To) []To {
	converted := make([]To, len(rows))
	for i, row := range rows {
		converted[i] = convert(row)
	}
	return converted
}

// verifier copies a stored hash. One of another length would match nothing, or worse,
// so it is refused: the database was edited by hand.
func verifier(to *[32]byte, from []byte) error {
	if len(from) != len(to) {
		return postern.Errorf(postern.CodeInternal, "a stored verifier has %d bytes, want %d", len(from), len(to))
	}
	copy(to[:], from)
	return nil
}
