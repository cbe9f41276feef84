package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
)

// SignatureSize is how long a signature is, in bytes.
const SignatureSize = sha256.Size

// Sign makes a signature (HMAC-SHA256) that whoever has the same keys recognises: what a
// stranger keeps for us, such as a cookie. purpose is a constant of the caller; what is
// signed for one is worth nothing for another. The message may be read by anybody.
func (r *Keyring) Sign(purpose string, message []byte) []byte {
	return (*r.keys.Load())[0].sign(purpose, message)
}

// Signed tells whether one of the keys made the signature of the message, in a time that
// depends on the number of keys only. Keys are not read again for it: a stranger's word
// is no reason to. A rotation puts a new key everywhere before it signs.
func (r *Keyring) Signed(purpose string, message, signature []byte) bool {
	right := 0
	for _, key := range *r.keys.Load() {
		right |= subtle.ConstantTimeCompare(key.sign(purpose, message), signature)
	}
	return right == 1
}

func (k Key) sign(purpose string, message []byte) []byte {
	mac := hmac.New(sha256.New, k.derive(nil, "postern signature 1 "+purpose, keySize))
	mac.Write(message)
	return mac.Sum(nil)
}
