package postern

import (
	"crypto/subtle"
	"log/slog"
)

// Secret is a token, key or passphrase. It prints, logs and marshals as a mask;
// only Reveal gives the value, so every place that lets one out can be found by
// name.
type Secret string

const mask = "[secret]"

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s), []byte(other)) == 1
}

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks %#v as String masks %v.
func (s Secret) GoString() string { return s.String() }

// LogValue masks the value in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the value in JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
