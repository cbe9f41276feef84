package gate

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/password"
)

// Bounds of credentials: how many a gate may have, and characters of passwords. Old
// clients have passwords that are shorter than Shortest.
const (
	MostCredentials = 10
	Shortest        = 8
	Longest         = 128

	mostUsername = 128 // bytes
)

// Credential is a name with a password, or with a password's hash.
type Credential struct {
	Username string
	Password postern.Secret // empty where Hash is given
	Hash     postern.Secret // bcrypt's or Argon2id's, see server/password
}

// ParseCredential reads "user:password", divided at the first colon. Errors are
// CodeFieldInvalid, and never show the password.
func ParseCredential(text postern.Secret) (Credential, error) {
	c, err := split(text, "password")
	if err != nil {
		return Credential{}, err
	}
	switch n := utf8.RuneCountInString(c.Password.Reveal()); {
	case n < Shortest:
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "the password of %q has %d characters, at least %d are needed", c.Username, n, Shortest)
	case n > Longest:
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "the password of %q has %d characters, at most %d are allowed", c.Username, n, Longest)
	}
	return c, nil
}

// ParseOldCredential is ParseCredential for options of clients from before passwords had a
// least length: a short one is taken, and warning says so.
func ParseOldCredential(text postern.Secret) (c Credential, warning string, err error) {
	c, err = split(text, "password")
	if err != nil {
		return Credential{}, "", err
	}
	n := utf8.RuneCountInString(c.Password.Reveal())
	if n == 0 || n > Longest {
		return Credential{}, "", postern.Errorf(postern.CodeFieldInvalid, "the password of %q has %d characters, 1 to %d are allowed", c.Username, n, Longest)
	}
	if n < Shortest {
		warning = fmt.Sprintf("the password of %q has %d characters; choose one of at least %d", c.Username, n, Shortest)
	}
	return c, warning, nil
}

// ParseHashed reads "user:hash". Errors are as ParseCredential's.
func ParseHashed(text postern.Secret) (Credential, error) {
	c, err := split(text, "hash")
	if err != nil {
		return Credential{}, err
	}
	c.Hash, c.Password = c.Password, ""
	if err := password.CheckHash(c.Hash); err != nil {
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "of %q: %s", c.Username, postern.AsError(err).Text())
	}
	return c, nil
}

// split divides a credential whose second part is called what.
func split(text postern.Secret, what string) (Credential, error) {
	username, rest, found := strings.Cut(text.Reveal(), ":")
	switch {
	case !found:
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "a credential has no colon; write it as user:%s", what)
	case len(username) > mostUsername:
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "a user name has %d bytes, at most %d are allowed", len(username), mostUsername)
	case !plainText(username) || !plainText(rest):
		return Credential{}, postern.Errorf(postern.CodeFieldInvalid, "a credential must be UTF-8 text without control characters (RFC 7617 §2)")
	}
	return Credential{Username: username, Password: postern.Secret(rest)}, nil
}

// plainText tells whether a text can be part of what a visitor sends.
func plainText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// pair is what a visitor sends of a credential that has a password.
func pair(username, password string) []byte { return []byte(username + ":" + password) }

// digest names a credential in what is signed for its owner: another password is another
// credential. It must not be shown: with it passwords could be guessed at home.
func (c Credential) digest() [sha256.Size]byte {
	kind, secret := "password", c.Password
	if c.Hash != "" {
		kind, secret = "hash", c.Hash
	}
	return sha256.Sum256(fmt.Appendf(nil, "%s %d:%s:%s", kind, len(c.Username), c.Username, secret.Reveal()))
}
