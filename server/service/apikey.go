package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const apiKeyPrefix = "ak"

// AuthenticateKey returns the caller that an API key stands for; Addr and Source are the
// transport's to fill. A key without the shape of one is CodeKeyMalformed; an unknown one,
// or one whose secret is wrong, CodeKeyInvalid, and the answer does not tell which. A
// store that does not answer is CodeStoreUnavailable.
func (s *Service) AuthenticateKey(ctx context.Context, key postern.Secret) (Caller, error) {
	id, hash, ok := parseToken(key, apiKeyPrefix)
	if !ok {
		return Caller{}, postern.Errorf(postern.CodeKeyMalformed,
			"the API key must be %d letters and digits, an underscore, and %d more", idLength, secretLength)
	}
	var stored store.APIKey
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		stored, err = tx.APIKeys().Get(ctx, postern.APIKeyID(id))
		return err
	})
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		return Caller{}, err
	}
	// As in Authenticate, unknown keys are compared too, with nobody's hash.
	match := admits(hash, stored.Verifier, stored.Rotation, s.now())
	if !match || stored.ID == "" {
		return Caller{}, postern.Errorf(postern.CodeKeyInvalid, "the API key is not valid on this server")
	}
	return Caller{Account: stored.Account, Principal: stored.Owner, Role: postern.Owner, Key: stored.ID}, nil
}
