package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func (t tx) Gateways() store.Rows[store.Gateway] {
	return rowsOf(t, table[store.Gateway, *store.Gateway]{
		name: "private_gateways", what: "private gateway",
		columns: headColumns(column{"name", text}, column{"path", text}, column{"domain", text}, column{"listen", opaque}, column{"ports", opaque},
			column{"hold", number}, column{"conflict", text}, column{"insecure", boolean}, column{"consumers", opaque}),
		fields: func(g *store.Gateway) []any {
			return headFields(&g.Meta, &g.Name, &g.Path, orNull[postern.Hostname]{&g.Domain}, list[netip.Addr]{&g.Listen}, list[string]{&g.Ports},
				seconds{&g.Hold}, &g.Conflict, &g.Insecure, list[netip.Prefix]{&g.Consumers})
		},
	})
}

func (t tx) GatewayTokens() store.Rows[store.GatewayToken] {
	return rowsOf(t, table[store.GatewayToken, *store.GatewayToken]{
		name: "private_gateway_tokens", what: "token of a private gateway",
		columns: headColumns(column{"gateway_id", text}, column{"verifier", opaque}, column{"rotated_at", moment}, column{"previous_verifier", opaque},
			column{"previous_until", moment}, column{"ports", opaque}, column{"targets", opaque}, column{"expires_at", moment}),
		fields: func(k *store.GatewayToken) []any {
			r := &k.Rotation
			return headFields(&k.Meta, &k.Gateway, hashed{&k.Verifier}, maybe{&r.At}, overlapping{&r.Previous, &r.Until},
				maybe{&r.Until}, list[string]{&k.Ports}, list[string]{&k.Targets}, maybe{&k.ExpiresAt})
		},
	})
}

// list is a list in a column of JSON, where an empty one may mean that everything is
// allowed. It fails closed: what is no list is an error and never an empty one.
type list[V any] struct{ values *[]V }

func (l list[V]) Value() (driver.Value, error) {
	if len(*l.values) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(*l.values)
	return string(text), err
}

func (l list[V]) Scan(from any) error {
	var stored sql.NullString
	if err := stored.Scan(from); err != nil {
		return err
	}
	var values []V
	if err := json.Unmarshal([]byte(stored.String), &values); err != nil || values == nil { // nil: the text was "null"
		return postern.Errorf(postern.CodeInternal, "a stored list cannot be read").Because(errors.Join(err, errNoList))
	}
	*l.values = nil
	if len(values) > 0 {
		*l.values = values
	}
	return nil
}

var errNoList = errors.New("not a list")

// seconds is a duration in a column of whole seconds.
type seconds struct{ duration *time.Duration }

func (s seconds) Value() (driver.Value, error) { return int64(*s.duration / time.Second), nil }

func (s seconds) Scan(from any) error {
	var n sql.NullInt64
	if err := n.Scan(from); err != nil {
		return err
	}
	*s.duration = time.Duration(n.Int64) * time.Second
	return nil
}
