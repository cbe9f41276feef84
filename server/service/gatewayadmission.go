package service

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const (
	gatewayTokenPrefix = "pgt"

	// gatewayTokenMark begins every token of a gateway, so that nobody takes one for an
	// authtoken: what follows has the form of any other token.
	gatewayTokenMark = "sgt_"
)

// newGatewayToken makes the token of an id, and the verifier to keep.
func newGatewayToken(id string) (token postern.Secret, verifier [32]byte) {
	rest, verifier := newToken(id)
	return gatewayTokenMark + rest, verifier
}

// AdmitGatewayToken returns the row of the gateway's token that a connector sent. find
// finds rows by their id, as Gateways has returned them. A token that is not one, is
// unknown or another gateway's, is wrong or whose time is over is CodeGatewayTokenInvalid,
// and neither the answer nor the time that it takes tells which.
func AdmitGatewayToken(token postern.Secret, gateway string, now time.Time, find func(id string) (store.GatewayToken, bool)) (store.GatewayToken, error) {
	refused := postern.Errorf(postern.CodeGatewayTokenInvalid, "the token is not valid for this gateway")
	text := token.Reveal()
	if len(text) < len(gatewayTokenMark) || text[:len(gatewayTokenMark)] != gatewayTokenMark {
		return store.GatewayToken{}, refused
	}
	id, hash, ok := parseToken(postern.Secret(text[len(gatewayTokenMark):]), gatewayTokenPrefix)
	if !ok {
		return store.GatewayToken{}, refused
	}
	// As in Authenticate, unknown tokens are compared too, with nobody's hash.
	row, known := find(id)
	match := admits(hash, row.Verifier, row.Rotation, now)
	if !match || !known || row.Gateway != gateway || row.Expired(now) {
		return store.GatewayToken{}, refused
	}
	return row, nil
}

// Gateways returns the private gateways of all accounts, and all tokens of theirs.
func (s *Service) Gateways(ctx context.Context) ([]store.Gateway, []store.GatewayToken, error) {
	var gateways []store.Gateway
	var tokens []store.GatewayToken
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		gateways, tokens = nil, nil
		err := eachRow(ctx, tx.Gateways(), nil, func(row *store.Gateway) error {
			gateways = append(gateways, *row)
			return nil
		})
		if err != nil {
			return err
		}
		return eachRow(ctx, tx.GatewayTokens(), nil, func(row *store.GatewayToken) error {
			tokens = append(tokens, *row)
			return nil
		})
	})
	return gateways, tokens, err
}
