package seal

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"

	"github.com/postern-dev/postern"
)

const (
	keySize = 32

	// maxKeys bounds a keyring: two are enough for a rotation.
	maxKeys = 16
	// maxKeyFile bounds what ParseKeys reads, comments included.
	maxKeyFile = 64 << 10
)

// KeyID names a key without telling anything about it: it is derived from the key, so
// that two keys never share one, and a key cannot be taken for another.
type KeyID [8]byte

// String is the id in hex, as it is stored and shown.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKeyID reads what String gives. Anything else is CodeFieldInvalid.
func ParseKeyID(text string) (KeyID, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(KeyID{}) || text != strings.ToLower(text) {
		return KeyID{}, postern.Errorf(postern.CodeFieldInvalid, "%q is not the id of a sealing key: %d hex digits", clip(text), 2*len(KeyID{}))
	}
	return KeyID(raw), nil
}

// Key is a sealing key: 32 random bytes. It prints and logs as its id. The zero Key is
// none.
type Key struct {
	id     KeyID
	secret [keySize]byte
}

// NewKey makes a key.
func NewKey() Key {
	var secret [keySize]byte
	_, _ = rand.Read(secret[:]) // never fails, crypto/rand
	return keyOf(secret)
}

// ParseKey reads a key in base64 (RFC 4648 §4, padded), as "openssl rand -base64 32"
// prints one. Anything else is CodeConfigInvalid; the message does not quote it.
func ParseKey(text string) (Key, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	// Decoders skip line breaks; a key is one word.
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return Key{}, postern.Errorf(postern.CodeConfigInvalid, "a sealing key is not base64; make one with: openssl rand -base64 32")
	}
	if len(raw) != keySize {
		return Key{}, postern.Errorf(postern.CodeConfigInvalid, "a sealing key has %d bytes, want %d; make one with: openssl rand -base64 32", len(raw), keySize)
	}
	if bytes.Count(raw, raw[:1]) == keySize {
		return Key{}, postern.Errorf(postern.CodeConfigInvalid, "a sealing key is %d times the same byte; make one with: openssl rand -base64 32", keySize)
	}
	return keyOf([keySize]byte(raw)), nil
}

func keyOf(secret [keySize]byte) Key {
	k := Key{secret: secret}
	copy(k.id[:], k.derive(nil, "postern sealing key id", len(k.id)))
	return k
}

// derive fails only for more than 8160 bytes, which no caller wants.
func (k Key) derive(salt []byte, purpose string, n int) []byte {
	derived, err := hkdf.Key(sha256.New, k.secret[:], salt, purpose, n)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return derived
}

// ID names the key.
func (k Key) ID() KeyID { return k.id }

// Encode is the form that ParseKey reads.
func (k Key) Encode() postern.Secret {
	return postern.Secret(base64.StdEncoding.EncodeToString(k.secret[:]))
}

// String implements fmt.Stringer.
func (k Key) String() string { return "sealing key " + k.id.String() }

// GoString implements fmt.GoStringer.
func (k Key) GoString() string { return k.String() }

// Format implements fmt.Formatter, so that no verb shows the fields.
func (k Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(k.String())) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements encoding.TextMarshaler; nothing reads it back.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKeys reads a file of keys: one a line, the one that seals first; empty lines and
// lines that begin with # are passed over. Anything else, no key at all or one twice is
// CodeConfigInvalid with the line's number.
func ParseKeys(text []byte) ([]Key, error) {
	if len(text) > maxKeyFile {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "larger than %d bytes; this is not a file of sealing keys", maxKeyFile)
	}
	var keys []Key
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxKeyFile+1)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := ParseKey(line)
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "line %d: %s", number, postern.AsError(err).Text())
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the sealing keys cannot be read").Because(err)
	}
	return keys, check(keys)
}

// FormatKeys writes the file that ParseKeys reads.
func FormatKeys(keys []Key) []byte {
	text := []byte("# Sealing keys of this installation. The first line seals, all of them open; without\n" +
		"# the right ones the secrets in the database are lost. See docs/secrets.md.\n")
	for _, key := range keys {
		text = append(text, key.Encode().Reveal()...)
		text = append(text, '\n')
	}
	return text
}

// check refuses what cannot be a keyring.
func check(keys []Key) error {
	if len(keys) == 0 {
		return postern.Errorf(postern.CodeConfigInvalid, "there is no sealing key")
	}
	if len(keys) > maxKeys {
		return postern.Errorf(postern.CodeConfigInvalid, "there are %d sealing keys, at most %d are allowed", len(keys), maxKeys)
	}
	seen := make(map[KeyID]bool, len(keys))
	for _, key := range keys {
		if seen[key.id] {
			return postern.Errorf(postern.CodeConfigInvalid, "the sealing key %s is there twice", key.id)
		}
		seen[key.id] = true
	}
	return nil
}

// clip shortens what is quoted in messages.
func clip(text string) string { return postern.Clip(text, 40) }
