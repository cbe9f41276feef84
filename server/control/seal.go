package control

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/postern-dev/postern"
)

// maxSealed bounds what is looked at of a cookie or token from outside.
const maxSealed = 2 << 10

// sealer signs what agents keep for the server. The server keeps nothing, so what
// it signed stays valid when it restarts.
type sealer struct{ key []byte }

// mac authenticates parts for one purpose. Lengths are written before the parts,
// so that no two lists of parts give the same input.
func (s sealer) mac(purpose string, parts ...string) string {
	h := hmac.New(sha256.New, s.key)
	for _, part := range append([]string{purpose}, parts...) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (s sealer) cookie(clientID string, credential postern.CredentialID) string {
	return s.mac("client", clientID, string(credential))
}

// knows tells whether cookie was given to clientID under this very credential.
func (s sealer) knows(clientID, cookie string, credential postern.CredentialID) bool {
	if clientID == "" || len(clientID) > maxSealed || len(cookie) > maxSealed {
		return false
	}
	return hmac.Equal([]byte(cookie), []byte(s.cookie(clientID, credential)))
}

// claim is what a token promises its holder: this address, while no living other
// has it.
type claim struct {
	URL  postern.URL
	Name string // of the endpoint, by which the address was assigned
}

// token seals a claim for one credential.
func (s sealer) token(c claim, credential postern.CredentialID) string {
	payload, err := json.Marshal(c)
	if err != nil {
		return "" // strings and numbers always marshal
	}
	text := base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + s.mac("claim", text, string(credential))
}

// open gives a token's claim, or false for anything that token did not make for
// this credential.
func (s sealer) open(token string, credential postern.CredentialID) (claim, bool) {
	text, mac, found := strings.Cut(token, ".")
	if !found || len(token) > maxSealed || !hmac.Equal([]byte(mac), []byte(s.mac("claim", text, string(credential)))) {
		return claim{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return claim{}, false
	}
	var c claim
	return c, json.Unmarshal(payload, &c) == nil
}
