package service

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	// DefaultOverlap is for how long a token that was replaced stays good, if nobody says
	// otherwise.
	DefaultOverlap = 24 * time.Hour
	// MaxOverlap is the longest.
	MaxOverlap = 90 * 24 * time.Hour
)

// RotateCredential gives a credential a new token, which is not kept anywhere and is good
// at once. The one before it is good for overlap longer, 0 for not at all; one that an
// earlier rotation left is no good from now on. Live sessions go on. Whoever may not
// administer the account rotates their own. Errors: CodeNotFound, CodeNotPermitted, and
// CodeFieldInvalid for an overlap that is negative or longer than MaxOverlap.
func (s *Service) RotateCredential(ctx context.Context, by Caller, id postern.CredentialID, overlap time.Duration) (postern.Credential, postern.Secret, error) {
	if err := checkOverlap(overlap); err != nil {
		return postern.Credential{}, "", err
	}
	token, verifier := newToken(string(id))
	credential, err := s.replaceToken(ctx, by, id, func(c *postern.Credential, now time.Time) {
		c.Verifier, c.Rotation = rotated(c.Verifier, verifier, now, overlap)
	})
	if err != nil {
		return postern.Credential{}, "", err
	}
	return credential, token, nil
}

// EndCredentialOverlap ends the time in which a credential has two tokens: from now on
// the newer one alone is good. It is no error if there is only one. Errors: CodeNotFound,
// CodeNotPermitted.
func (s *Service) EndCredentialOverlap(ctx context.Context, by Caller, id postern.CredentialID) (postern.Credential, error) {
	return s.replaceToken(ctx, by, id, func(c *postern.Credential, now time.Time) {
		c.Rotation = postern.Rotation{At: now}
	})
}

// replaceToken changes the verifiers of a credential.
func (s *Service) replaceToken(ctx context.Context, by Caller, id postern.CredentialID, replace func(*postern.Credential, time.Time)) (postern.Credential, error) {
	var credential postern.Credential
	err := s.change(ctx, func(d *draft) error {
		row, err := d.validCredential(id)
		if err != nil {
			return err
		}
		credential = row.Credential()
		if err := by.mayReplace("credential", string(id), credential.Account, credential.Owner); err != nil {
			return err
		}
		account, err := d.Accounts().Get(d.ctx, credential.Account)
		if err != nil {
			return err
		}
		replace(&credential, d.now)
		row.Verifier, row.Rotation, row.UpdatedAt = credential.Verifier, credential.Rotation, d.now
		if err := d.Credentials().Update(d.ctx, row); err != nil {
			return err
		}
		changed := holder{credential: credential, account: account}
		d.committed = append(d.committed, func() { s.known.change(changed) })
		return d.recordBy(by, event.CredentialUpdated, credential.Account, string(id), s.showCredential(&row))
	})
	return credential, err
}

// RotateAPIKey does for an API key what RotateCredential does for a credential.
func (s *Service) RotateAPIKey(ctx context.Context, by Caller, id postern.APIKeyID, overlap time.Duration) (store.APIKey, postern.Secret, error) {
	if err := checkOverlap(overlap); err != nil {
		return store.APIKey{}, "", err
	}
	token, verifier := newToken(string(id))
	key, err := s.replaceKey(ctx, by, id, func(k *store.APIKey, now time.Time) {
		k.Verifier, k.Rotation = rotated(k.Verifier, verifier, now, overlap)
	})
	if err != nil {
		return store.APIKey{}, "", err
	}
	return key, token, nil
}

// EndAPIKeyOverlap does for an API key what EndCredentialOverlap does for a credential.
func (s *Service) EndAPIKeyOverlap(ctx context.Context, by Caller, id postern.APIKeyID) (store.APIKey, error) {
	return s.replaceKey(ctx, by, id, func(k *store.APIKey, now time.Time) {
		k.Rotation = postern.Rotation{At: now}
	})
}

func (s *Service) replaceKey(ctx context.Context, by Caller, id postern.APIKeyID, replace func(*store.APIKey, time.Time)) (store.APIKey, error) {
	var key store.APIKey
	err := s.change(ctx, func(d *draft) (err error) {
		if key, err = d.APIKeys().Get(d.ctx, "", string(id)); err != nil {
			return err
		}
		if err := by.mayReplace("API key", string(id), key.Account, key.Owner); err != nil {
			return err
		}
		// Who has the new key acts as its owner.
		owner, err := d.Users().Get(d.ctx, key.Account, string(key.Owner))
		if err != nil {
			return err
		}
		if err := by.mayActAs(owner); err != nil {
			return err
		}
		replace(&key, d.now)
		key.UpdatedAt = d.now
		if err := d.APIKeys().Update(d.ctx, key); err != nil {
			return err
		}
		return d.recordBy(by, event.APIKeyUpdated, key.Account, string(id), s.showAPIKey(&key))
	})
	return key, err
}

// mayReplace refuses who may not replace the secret of owner's. What is another
// account's does not exist.
func (c Caller) mayReplace(what, id string, account postern.AccountID, owner postern.UserID) error {
	if err := c.may(postern.Write); err != nil {
		return err
	}
	if c.Account != account {
		return postern.Errorf(postern.CodeNotFound, "there is no %s %q", what, id)
	}
	return c.mayChangeOf(owner)
}

func checkOverlap(overlap time.Duration) error {
	if overlap < 0 || overlap > MaxOverlap {
		return postern.Errorf(postern.CodeFieldInvalid, "overlap %v is outside 0 to %v", overlap, MaxOverlap)
	}
	return nil
}

// overlapOf reads what a caller wishes.
func overlapOf(r resource.Rotation) (time.Duration, error) {
	if r.Overlap == nil {
		return DefaultOverlap, nil
	}
	overlap, err := time.ParseDuration(*r.Overlap)
	if err != nil {
		return 0, postern.Errorf(postern.CodeFieldInvalid, "overlap is %.40q; it must be a duration such as \"24h\"", *r.Overlap)
	}
	return overlap, checkOverlap(overlap)
}

// rotated gives the verifiers after a rotation.
func rotated(before, after [32]byte, now time.Time, overlap time.Duration) ([32]byte, postern.Rotation) {
	r := postern.Rotation{At: now}
	if overlap > 0 {
		r.Previous, r.Until = before, now.Add(overlap)
	}
	return after, r
}

// admits compares a token's hash with the verifier, and with the one before it while
// that is good. Which of the two it was, time does not tell; nor whether there are two:
// without a rotation the other is nobody's hash.
func admits(hash, verifier [32]byte, r postern.Rotation, now time.Time) bool {
	current := subtle.ConstantTimeCompare(hash[:], verifier[:])
	previous := subtle.ConstantTimeCompare(hash[:], r.Previous[:])
	overlaps := 0
	if r.Overlaps(now) {
		overlaps = 1
	}
	return current|previous&overlaps == 1
}
