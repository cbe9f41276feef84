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

type names struct{ q *query.Queries }

func (n names) Get(ctx context.Context, host postern.Hostname) (store.Name, error) {
	row, err := n.q.GetName(ctx, host)
	if err != nil {
		return store.Name{}, found(err, "name", host)
	}
	return nameOf(row), nil
}

func (n names) Related(ctx context.Context, host, domain postern.Hostname, account postern.AccountID, since time.Time) (store.Name, error) {
	base := reach(host)
	key := store.TreeKey(base)
	row, err := n.q.NameBelow(ctx, query.NameBelowParams{
		FromKey: key, ToKey: key[:len(key)-1] + "/", // '/' follows '.': the end of the range
		AccountID: account, Since: since.UnixMicro(),
	})
	for above := base.Parent(); errors.Is(err, sql.ErrNoRows) && within(above, domain); above = above.Parent() {
		row, err = n.q.NameAt(ctx, query.NameAtParams{
			TreeKey: store.TreeKey(above), AccountID: account, Since: since.UnixMicro(),
		})
	}
	if err != nil {
		return store.Name{}, found(err, "name related to", host)
	}
	return nameOf(row), nil
}

func (n names) Claim(ctx context.Context, name store.Name, since time.Time) (store.Name, error) {
	changed, err := n.q.ClaimName(ctx, query.ClaimNameParams{
		Host: name.Host, TreeKey: store.TreeKey(name.Host),
		AccountID: name.Account, CredentialID: name.Credential,
		Assigned: name.Assigned, Endpoint: name.Endpoint, Kind: name.Kind, Slot: int64(name.Slot), Installation: name.Installation,
		CreatedAt: name.CreatedAt.UnixMicro(), LastUsedAt: name.LastUsedAt.UnixMicro(), Since: since.UnixMicro(),
	})
	if err != nil {
		return store.Name{}, translate(err)
	}
	held, err := n.Get(ctx, name.Host)
	if err != nil || changed == 1 || held.Account != name.Account {
		return held, err
	}
	if err := n.Touch(ctx, name.Host, name.LastUsedAt); err != nil {
		return store.Name{}, err
	}
	return n.Get(ctx, name.Host)
}

func (n names) Series(ctx context.Context, credential postern.CredentialID, endpoint, kind string) ([]store.Name, error) {
	rows, err := n.q.NameSeries(ctx, query.NameSeriesParams{CredentialID: credential, Endpoint: endpoint, Kind: kind})
	return each(rows, nameOf), translate(err)
}

func (n names) Keep(ctx context.Context, host postern.Hostname, installation string) error {
	return translate(n.q.KeepName(ctx, query.KeepNameParams{Host: host, Installation: installation}))
}

func (n names) Touch(ctx context.Context, host postern.Hostname, at time.Time) error {
	return translate(n.q.TouchName(ctx, query.TouchNameParams{Host: host, At: at.UnixMicro()}))
}

func (n names) List(ctx context.Context, after postern.Hostname, since time.Time, limit int) ([]store.Name, error) {
	rows, err := n.q.ListNames(ctx, query.ListNamesParams{After: after, Since: since.UnixMicro(), Most: most(limit)})
	return each(rows, nameOf), translate(err)
}

func (n names) Expire(ctx context.Context, before time.Time) (int64, error) {
	count, err := n.q.ExpireNames(ctx, before.UnixMicro())
	return count, translate(err)
}

func nameOf(row query.Name) store.Name {
	return store.Name{
		Host: row.Host, Account: row.AccountID, Credential: row.CredentialID,
		Assigned: row.Assigned, Endpoint: row.Endpoint, Kind: row.Kind, Slot: int(row.Slot), Installation: row.Installation,
		CreatedAt: instant(row.CreatedAt), LastUsedAt: instant(row.LastUsedAt),
	}
}

// reach is the name at and below which a host takes traffic.
func reach(host postern.Hostname) postern.Hostname {
	if host.Wildcard() {
		return host.Parent()
	}
	return host
}

func within(host, domain postern.Hostname) bool { return host == domain || host.Under(domain) }
