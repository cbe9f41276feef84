package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"unicode/utf8"

	"github.com/postern-dev/postern"
)

const (
	// Shortest and Longest bound a password: in characters, and in bytes.
	Shortest = 10
	Longest  = 256

	// atOnce is how many hashes are made at the same time, and waiting how many more
	// callers may wait for their turn.
	atOnce  = 2
	waiting = 64
)

// Hasher makes and checks hashes. Make one with New; its methods may be called from
// anywhere at once, and block while others have their turn.
type Hasher struct {
	cost  Cost
	turns chan struct{} // one for each hash that is being made
	room  chan struct{} // one for each caller
	never stored        // what nobody's password is compared with
}

// New returns a Hasher whose new hashes cost c.
func New(c Cost) *Hasher {
	return &Hasher{
		cost: c, turns: make(chan struct{}, atOnce), room: make(chan struct{}, atOnce+waiting),
		never: stored{cost: c, salt: make([]byte, saltSize), hash: make([]byte, hashSize)},
	}
}

// Check refuses a password that may not be chosen: CodeFieldInvalid.
func Check(password postern.Secret) error {
	text := password.Reveal()
	switch {
	case len(text) > Longest:
		return postern.Errorf(postern.CodeFieldInvalid, "the password has %d bytes, at most %d are allowed", len(text), Longest)
	case !utf8.ValidString(text):
		return postern.Errorf(postern.CodeFieldInvalid, "the password must be UTF-8 text")
	case utf8.RuneCountInString(text) < Shortest:
		return postern.Errorf(postern.CodeFieldInvalid, "the password must have at least %d characters", Shortest)
	}
	return nil
}

// Hash makes the hash of a password to be kept. Errors: those of Check, and
// CodeServerBusy when too many wait or ctx ends first.
func (h *Hasher) Hash(ctx context.Context, password postern.Secret) (postern.Secret, error) {
	if err := Check(password); err != nil {
		return "", err
	}
	made := stored{cost: h.cost, salt: make([]byte, saltSize)}
	_, _ = rand.Read(made.salt) // never fails, crypto/rand
	err := h.inTurn(ctx, func() { made.hash = h.cost.key(password.Reveal(), made.salt, hashSize) })
	if err != nil {
		return "", err
	}
	return postern.Secret(made.String()), nil
}

// Verify tells whether a password is the one that hash was made of, and whether it is
// time to make another hash of it, because new ones cost something else. It takes as
// long for an empty hash, of somebody who has no password or does not exist. The only
// error is CodeServerBusy, as Hash's.
func (h *Hasher) Verify(ctx context.Context, password, hash postern.Secret) (right, outdated bool, err error) {
	text := password.Reveal()
	if len(text) > Longest { // nobody has it; time is of no importance
		return false, false, nil
	}
	if isBcrypt(hash.Reveal()) {
		err = h.inTurn(ctx, func() { right = bcryptRight(text, hash.Reveal()) })
		return right, right, err
	}
	kept, known := parse(hash.Reveal())
	if !known {
		kept = h.never
	}
	err = h.inTurn(ctx, func() {
		key := kept.cost.key(text, kept.salt, uint32(len(kept.hash))) //nolint:gosec // at most mostBytes
		right = subtle.ConstantTimeCompare(key, kept.hash) == 1 && known
	})
	return right, right && kept.cost != h.cost, err
}

// inTurn runs work when it is the caller's turn.
func (h *Hasher) inTurn(ctx context.Context, work func()) error {
	select {
	case h.room <- struct{}{}:
		defer func() { <-h.room }()
	default:
		return postern.Errorf(postern.CodeServerBusy, "too many passwords are being checked")
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return postern.Errorf(postern.CodeServerBusy, "the password could not be checked in time").Because(context.Cause(ctx))
	}
	work()
	return nil
}
