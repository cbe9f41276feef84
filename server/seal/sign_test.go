package seal_test

import (
	"bytes"
	"testing"

	"github.com/postern-dev/postern/server/seal"
)

// A signature is good for its message and purpose, with any key of the ring, also after
// another one signs; and for nobody who has other keys.
func TestSignatures(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	message := []byte("until tomorrow")
	signature := ring(t, older).Sign("cookie", message)
	if len(signature) != seal.SignatureSize {
		t.Errorf("%d bytes", len(signature))
	}
	changed := bytes.Clone(signature)
	changed[len(changed)-1] ^= 1
	for _, c := range []struct {
		what      string
		ring      *seal.Keyring
		purpose   string
		message   string
		signature []byte
		good      bool
	}{
		{"the same", ring(t, older), "cookie", "until tomorrow", signature, true},
		{"rotated", ring(t, newer, older), "cookie", "until tomorrow", signature, true},
		{"not yet rotated", ring(t, older, newer), "cookie", "until tomorrow", ring(t, newer, older).Sign("cookie", message), true},
		{"the key is gone", ring(t, newer), "cookie", "until tomorrow", signature, false},
		{"another purpose", ring(t, older), "state", "until tomorrow", signature, false},
		{"purpose runs into message", ring(t, older), "cookieu", "ntil tomorrow", signature, false},
		{"another message", ring(t, older), "cookie", "until later", signature, false},
		{"changed", ring(t, older), "cookie", "until tomorrow", changed, false},
		{"cut", ring(t, older), "cookie", "until tomorrow", signature[:31], false},
		{"none", ring(t, older), "cookie", "until tomorrow", nil, false},
	} {
		if got := c.ring.Signed(c.purpose, []byte(c.message), c.signature); got != c.good {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if bytes.Equal(ring(t, older).Sign("cookie", message), ring(t, newer).Sign("cookie", message)) {
		t.Error("two keys sign alike")
	}
}
