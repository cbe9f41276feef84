package service

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// PrivateGatewayTokens are the use cases of private gateways' tokens. Live connectors learn
// of changes by the events on the bus, whose Subject is the id.
type PrivateGatewayTokens struct {
	Collection[store.GatewayToken, resource.PrivateGatewayToken, resource.PrivateGatewayTokenCreate, resource.PrivateGatewayTokenUpdate, *store.GatewayToken]
}

// PrivateGatewayTokens returns the use cases of private gateways' tokens.
func (s *Service) PrivateGatewayTokens() *PrivateGatewayTokens {
	return &PrivateGatewayTokens{Collection[store.GatewayToken, resource.PrivateGatewayToken, resource.PrivateGatewayTokenCreate, resource.PrivateGatewayTokenUpdate, *store.GatewayToken]{
		service: s, definition: resource.PrivateGatewayTokens().Definition, rows: store.Tx.GatewayTokens,
		events: eventTypes{event.GatewayTokenCreated, event.GatewayTokenUpdated, event.GatewayTokenDeleted},
		stored: map[string]string{"gateway.id": "gateway_id"},
		build:  s.buildGatewayToken, change: changeGatewayToken,
		show: func(_ reader, row *store.GatewayToken) (resource.PrivateGatewayToken, error) {
			return s.showGatewayToken(row), nil
		},
	}}
}

// Create makes a token. The token itself is in the answer, and nowhere else.
func (k *PrivateGatewayTokens) Create(ctx context.Context, by Caller, c resource.PrivateGatewayTokenCreate) (resource.PrivateGatewayToken, error) {
	var token postern.Secret
	made, err := k.create(ctx, by, c, func(d *draft, by Caller, row *store.GatewayToken, c resource.PrivateGatewayTokenCreate) error {
		token, row.Verifier = newGatewayToken(row.ID)
		return k.build(d, by, row, c)
	})
	if err == nil {
		made.Token = shownOnce(token)
	}
	return made, err
}

// Rotate replaces the token itself, which is in the answer and good at once. The one
// before it stays good for the overlap; one that an earlier rotation left is no good from
// now on. Live connectors stay.
func (k *PrivateGatewayTokens) Rotate(ctx context.Context, by Caller, id string, r resource.Rotation) (resource.PrivateGatewayToken, error) {
	var none resource.PrivateGatewayToken
	overlap, err := overlapOf(r)
	if err != nil {
		return none, err
	}
	token, verifier := newGatewayToken(id)
	rotating := k.Collection
	rotating.events.updated = event.GatewayTokenRotated
	shown, err := rotating.edit(ctx, by, id, func(d *draft, row *store.GatewayToken) error {
		row.Verifier, row.Rotation = rotated(row.Verifier, verifier, d.now, overlap)
		return nil
	})
	if err != nil {
		return none, err
	}
	shown.Token = shownOnce(token)
	return shown, nil
}

func (s *Service) buildGatewayToken(d *draft, _ Caller, row *store.GatewayToken, c resource.PrivateGatewayTokenCreate) (err error) {
	gateway, err := d.Gateways().Get(d.ctx, row.Account, c.GatewayID)
	if postern.HasCode(err, postern.CodeNotFound) {
		return postern.Errorf(postern.CodeGatewayUnknown, "the field \"gateway_id\" is %q, and the account has no such private gateway", clip(c.GatewayID))
	}
	if err != nil {
		return err
	}
	row.Gateway, row.Description, row.Metadata = gateway.ID, c.Description, c.Metadata
	if row.Ports, err = readPorts(c.Ports); err != nil {
		return err
	}
	if row.Targets, err = readTargets(c.Targets); err != nil {
		return err
	}
	return setExpiry(d, row, c.ExpiresAt)
}

func changeGatewayToken(d *draft, _ Caller, row *store.GatewayToken, u resource.PrivateGatewayTokenUpdate) (err error) {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	if u.Ports != nil {
		if row.Ports, err = readPorts(*u.Ports); err != nil {
			return err
		}
	}
	if u.Targets != nil {
		if row.Targets, err = readTargets(*u.Targets); err != nil {
			return err
		}
	}
	return setExpiry(d, row, u.ExpiresAt)
}

// setExpiry sets when a token is no good any more; the zero time stands for never.
func setExpiry(d *draft, row *store.GatewayToken, at *time.Time) error {
	if at == nil {
		return nil
	}
	expires := at.UTC().Truncate(time.Second)
	if !at.IsZero() && !expires.After(d.now) {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"expires_at\" is %s, which is over", expires.Format(time.RFC3339))
	}
	if expires.Year() > maxYear {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"expires_at\" is after the year %d; leave it out for never", maxYear)
	}
	if row.ExpiresAt = expires; at.IsZero() {
		row.ExpiresAt = time.Time{}
	}
	return nil
}

// maxYear is the last of RFC 3339.
const maxYear = 9999

func (s *Service) showGatewayToken(row *store.GatewayToken) resource.PrivateGatewayToken {
	shown := resource.PrivateGatewayToken{
		Identity: s.identity(resource.PrivateGatewayTokens().Definition, &row.Meta), Notes: notes(&row.Meta),
		Gateway: *s.ref(resource.PrivateGateways().Definition, row.Gateway),
		Ports:   append([]string{}, row.Ports...), Targets: append([]string{}, row.Targets...),
	}
	if !row.ExpiresAt.IsZero() {
		at := resource.Moment(row.ExpiresAt)
		shown.ExpiresAt = &at
	}
	return shown
}
