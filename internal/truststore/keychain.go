package truststore

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
)

// keychain is the user's on macOS, where the system and most browsers look. The system
// asks for the user's password in a window of its own.
type keychain struct{ machine Machine }

func (k *keychain) name() string { return "the login key chain" }

func (k *keychain) file() string {
	return filepath.Join(k.machine.Home, "Library", "Keychains", "login.keychain-db")
}

func (k *keychain) fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (k *keychain) security(args ...string) Command {
	return k.machine.asUser(Command{Name: "security", Args: args})
}

// has looks at the key chain's certificates: one that is there and not trusted any more,
// as a person can have it, counts as there.
func (k *keychain) has(ctx context.Context, c *x509.Certificate) (bool, error) {
	if k.machine.Home == "" {
		return false, errors.New("there is no home directory, and so no login key chain; set HOME")
	}
	out, err := k.machine.Run(ctx, k.security("find-certificate", "-a", "-Z", k.file()))
	return strings.Contains(string(out), k.fingerprint(c)), err
}

// add trusts it for TLS only.
func (k *keychain) add(ctx context.Context, c *x509.Certificate) error {
	return withFile(c, func(path string) error {
		_, err := k.machine.Run(ctx, k.adding(path))
		return err
	})
}

func (k *keychain) adding(path string) Command {
	return k.security("add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", k.file(), path)
}

func (k *keychain) removing(c *x509.Certificate, path string) []Command {
	return []Command{
		k.security("remove-trusted-cert", path),
		k.security("delete-certificate", "-Z", k.fingerprint(c), k.file()),
	}
}

func (k *keychain) remove(ctx context.Context, c *x509.Certificate) error {
	return withFile(c, func(path string) error {
		var failure error
		for _, command := range k.removing(c, path) { // one whose trust is gone is deleted all the same
			_, failure = k.machine.Run(ctx, command)
		}
		return failure
	})
}

func (k *keychain) plan(c *x509.Certificate, remove bool) []string {
	if remove {
		return lines(k.removing(c, "CA.pem")...)
	}
	return lines(k.adding("CA.pem"))
}
