package service

import (
	"context"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/store"
)

// settingSealingKeys lists the ids of the keys with which rows may be sealed, in the
// form of idList. The first one seals. It is what the processes of an installation agree
// on: a keyring only says which keys a process has.
const settingSealingKeys = "sealing.keys"

// SealingKeys returns the ids of the keys with which rows of a database may be sealed,
// that of the one that seals first; none where nothing has been sealed yet.
func SealingKeys(ctx context.Context, from store.Store) (ids []seal.KeyID, err error) {
	err = from.Read(ctx, func(tx store.Tx) error {
		ids, err = sealingKeys(ctx, tx)
		return err
	})
	return ids, err
}

func sealingKeys(ctx context.Context, tx store.Tx) ([]seal.KeyID, error) {
	text, err := tx.Settings().Get(ctx, settingSealingKeys)
	if postern.HasCode(err, postern.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []seal.KeyID
	for word := range strings.FieldsSeq(text) {
		id, err := seal.ParseKeyID(word)
		if err != nil {
			return nil, postern.Errorf(postern.CodeInternal, "the setting %s of the database cannot be read", settingSealingKeys).Because(err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func putSealingKeys(ctx context.Context, tx store.Tx, ids []seal.KeyID) error {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	return tx.Settings().Put(ctx, settingSealingKeys, strings.Join(words, " "))
}

// openSealing sees that the keyring has every key that rows are sealed with, so that a
// wrong or missing one is noticed when the server starts and not at the first visit that
// needs it. The first time the database takes the ring's key.
func (s *Service) openSealing(ctx context.Context) error {
	if s.sealing == nil {
		return nil
	}
	ids, err := SealingKeys(ctx, s.store)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		err = s.store.Write(ctx, func(tx store.Tx) error {
			if ids, err = sealingKeys(ctx, tx); err != nil || len(ids) > 0 {
				return err // another server was first
			}
			ids = []seal.KeyID{s.sealing.Current()}
			return putSealingKeys(ctx, tx, ids)
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		if !s.sealing.Has(id) {
			return postern.Errorf(postern.CodeSealingKeyMissing,
				"the secrets in the database are sealed with the key %s; this server's keys are %v", id, s.sealing.Keys())
		}
	}
	if len(ids) > 1 {
		s.logger.WarnContext(ctx, "a rotation of the sealing key is not finished; run it again", "keys", ids)
	}
	return nil
}

// seal encrypts the secret of a field of a row, for writing it in the draft's
// transaction. Which key does so is read in the same transaction: a process that has not
// heard of a rotation cannot seal with a key that is about to be forgotten.
func (s *Service) seal(d *draft, kind, id, field string, secret []byte) ([]byte, error) {
	if s.sealing == nil {
		return nil, errNoSealing()
	}
	ids, err := sealingKeys(d.ctx, d.Tx)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, postern.Errorf(postern.CodeInternal, "the database does not say which key seals")
	}
	return s.sealing.SealWith(ids[0], secret, seal.Row(kind, id, field))
}

// unseal gives back what seal has encrypted for the same field of the same row.
func (s *Service) unseal(kind, id, field string, sealed []byte) ([]byte, error) {
	if s.sealing == nil {
		return nil, errNoSealing()
	}
	secret, err := s.sealing.Unseal(sealed, seal.Row(kind, id, field))
	if err != nil {
		inner := *postern.AsError(err)
		inner.Message = kind + " " + id + ", " + field + ": " + inner.Message
		return nil, &inner
	}
	return secret, nil
}

func errNoSealing() error {
	return postern.Errorf(postern.CodeInternal, "the service was made without sealing keys")
}
