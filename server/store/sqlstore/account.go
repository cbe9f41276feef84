package sqlstore

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
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
