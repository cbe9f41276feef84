package sqlstore

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type ports struct{ q *query.Queries }

func (p ports) Get(ctx context.Context, port store.PortKey) (store.Port, error) {
	row, err := p.q.GetPort(ctx, query.GetPortParams{Scheme: port.Scheme, Port: int64(port.Port)})
	if err != nil {
		return store.Port{}, found(err, "port", port.Port)
	}
	return portOf(row), nil
}

func (p ports) Claim(ctx context.Context, port store.Port, since time.Time) (store.Port, error) {
	changed, err := p.q.ClaimPort(ctx, query.ClaimPortParams{
		Scheme: port.Scheme, Port: int64(port.Port), AccountID: port.Account, CredentialID: port.Credential,
		Assigned: port.Assigned, Endpoint: port.Endpoint, Installation: port.Installation,
		CreatedAt: port.CreatedAt.UnixMicro(), LastUsedAt: port.LastUsedAt.UnixMicro(), Since: since.UnixMicro(),
	})
	if err != nil {
		return store.Port{}, translate(err)
	}
	held, err := p.Get(ctx, port.PortKey)
	if err != nil || changed == 1 || held.Account != port.Account {
		return held, err
	}
	if err := p.Touch(ctx, port.PortKey, port.LastUsedAt); err != nil {
		return store.Port{}, err
	}
	return p.Get(ctx, port.PortKey)
}

func (p ports) Held(ctx context.Context, scheme postern.Scheme, lo, hi uint16, since time.Time) ([]store.Port, error) {
	rows, err := p.q.HeldPorts(ctx, query.HeldPortsParams{Scheme: scheme, Lo: int64(lo), Hi: int64(hi), Since: since.UnixMicro()})
	return each(rows, portOf), translate(err)
}

func (p ports) Keep(ctx context.Context, port store.PortKey, installation string) error {
	return translate(p.q.KeepPort(ctx, query.KeepPortParams{Scheme: port.Scheme, Port: int64(port.Port), Installation: installation}))
}

func (p ports) Touch(ctx context.Context, port store.PortKey, at time.Time) error {
	return translate(p.q.TouchPort(ctx, query.TouchPortParams{Scheme: port.Scheme, Port: int64(port.Port), At: at.UnixMicro()}))
}

func (p ports) Expire(ctx context.Context, before time.Time) (int64, error) {
	count, err := p.q.ExpirePorts(ctx, before.UnixMicro())
	return count, translate(err)
}

func portOf(row query.Port) store.Port {
	return store.Port{
		PortKey: store.PortKey{Scheme: row.Scheme, Port: uint16(row.Port)}, Account: row.AccountID, Credential: row.CredentialID, //nolint:gosec // written from a uint16
		Assigned: row.Assigned, Endpoint: row.Endpoint, Installation: row.Installation,
		CreatedAt: instant(row.CreatedAt), LastUsedAt: instant(row.LastUsedAt),
	}
}
