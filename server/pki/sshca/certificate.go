package sshca

import (
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

// For is what a certificate is for.
type For uint32

// The two kinds of certificates.
const (
	Users For = ssh.UserCert
	Hosts For = ssh.HostCert
)

// Bounds of what a certificate says.
const (
	maxPrincipals = 256
	maxOptions    = 64
	maxText       = 255
	maxOption     = 4096 // a command
)

// Certificate is what is to be signed.
type Certificate struct {
	For For
	Key ssh.PublicKey
	ID  string // in the logs of SSH servers

	// Principals are host names, or users' names; none stands for any.
	Principals []string

	// The certificate is valid from the one to the other, in whole seconds.
	ValidAfter, ValidUntil time.Time

	CriticalOptions, Extensions map[string]string // of users only
}

// Check refuses what would not be a certificate.
func (c Certificate) Check() error {
	if life := c.ValidUntil.Sub(c.ValidAfter); life < time.Second || c.ValidAfter.Unix() < 0 {
		code := postern.CodeSSHUserDuration
		if c.For == Hosts {
			code = postern.CodeSSHHostDuration
		}
		return postern.Errorf(code, "the certificate would be valid from %s to %s; valid_until must be later than valid_after",
			c.ValidAfter.UTC().Format(time.RFC3339), c.ValidUntil.UTC().Format(time.RFC3339))
	}
	if len(c.Principals) > maxPrincipals {
		return postern.Errorf(postern.CodeFieldInvalid, "principals has %d entries, at most %d are allowed", len(c.Principals), maxPrincipals)
	}
	for _, principal := range c.Principals {
		if !printable(principal, maxText) || principal == "" {
			return postern.Errorf(postern.CodeFieldInvalid, "principals has %q; each must be 1 to %d bytes of printable text", clip(principal), maxText)
		}
	}
	if err := checkOptions("critical_options", c.CriticalOptions); err != nil {
		return err
	}
	return checkOptions("extensions", c.Extensions)
}

func checkOptions(field string, options map[string]string) error {
	if len(options) > maxOptions {
		return postern.Errorf(postern.CodeFieldInvalid, "%s has %d entries, at most %d are allowed", field, len(options), maxOptions)
	}
	for name, value := range options {
		if name == "" || !printable(name, maxText) || strings.ContainsRune(name, ' ') {
			return postern.Errorf(postern.CodeFieldInvalid, "%s has the name %q; it must be 1 to %d bytes of printable text without blanks", field, clip(name), maxText)
		}
		if !printable(value, maxOption) {
			return postern.Errorf(postern.CodeFieldInvalid, "%s has for %q a value that is longer than %d bytes or not printable text", field, clip(name), maxOption)
		}
	}
	return nil
}

func printable(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// Sign makes the certificate: one line as in a file whose name ends with -cert.pub,
// without its end.
func (c Certificate) Sign(authority crypto.Signer) (string, error) {
	signer, err := ssh.NewSignerFromSigner(authority)
	if err != nil {
		return "", postern.Errorf(postern.CodeInternal, "the authority's key cannot sign").Because(err)
	}
	var serial [8]byte
	_, _ = rand.Read(serial[:]) // never fails, crypto/rand
	signed := &ssh.Certificate{
		Key: c.Key, Serial: binary.BigEndian.Uint64(serial[:]), CertType: uint32(c.For), KeyId: c.ID,
		ValidPrincipals: slices.Clone(c.Principals), ValidAfter: seconds(c.ValidAfter), ValidBefore: seconds(c.ValidUntil),
		Permissions: ssh.Permissions{CriticalOptions: c.CriticalOptions, Extensions: c.Extensions},
	}
	if err := signed.SignCert(rand.Reader, signer); err != nil {
		return "", postern.Errorf(postern.CodeInternal, "the certificate was not signed").Because(err)
	}
	return line(signed), nil
}

func seconds(t time.Time) uint64 { return uint64(min(max(t.Unix(), 0), math.MaxInt64)) }
