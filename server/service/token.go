package service

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
)

// A token is the KSUID of what it belongs to, an underscore, and a secret:
//
//	2abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJK
//
// The first half finds the row, the SHA-256 of the second is compared with what the row
// holds. 21 characters of base62 are 125 random bits, so no slow hash is needed.
const (
	idLength     = 27
	secretLength = 21
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID makes "<prefix>_<KSUID>".
func newID(prefix string, at time.Time) string {
	// NewRandomWithTime fails only when the random source does, and crypto/rand never
	// returns then (Go 1.24).
	id, err := ksuid.NewRandomWithTime(at)
	if err != nil {
		panic("service: no randomness: " + err.Error())
	}
	return prefix + "_" + id.String()
}

// newToken makes the token of an id, and the verifier to keep.
func newToken(id string) (token postern.Secret, verifier [32]byte) {
	_, unique, _ := strings.Cut(id, "_")
	secret := randomBase62(secretLength)
	return postern.Secret(unique + "_" + secret), sha256.Sum256([]byte(secret))
}

// parseToken splits a token into the id, with its prefix, and the hash of its secret
// half. It accepts exactly what newToken makes.
func parseToken(token postern.Secret, prefix string) (id string, hash [32]byte, ok bool) {
	text := token.Reveal()
	if len(text) != idLength+1+secretLength || text[idLength] != '_' {
		return "", hash, false
	}
	unique, secret := text[:idLength], text[idLength+1:]
	if !isBase62(unique) || !isBase62(secret) {
		return "", hash, false
	}
	return prefix + "_" + unique, sha256.Sum256([]byte(secret)), true
}

func isBase62(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// randomBase62 returns n characters, each equally likely: bytes that do not divide
// evenly among 62 are thrown away.
func randomBase62(n int) string {
	const fair = 256 - 256%len(base62)
	text := make([]byte, 0, n)
	buffer := make([]byte, 2*n)
	for {
		_, _ = rand.Read(buffer) // never fails, crypto/rand
		for _, b := range buffer {
			if int(b) >= fair {
				continue
			}
			if text = append(text, base62[int(b)%len(base62)]); len(text) == n {
				return string(text)
			}
		}
	}
}
