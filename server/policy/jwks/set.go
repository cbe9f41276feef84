package jwks

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// The bounds of a set, which is a stranger's.
const (
	mostBytes = 256 << 10
	mostKeys  = 64
	// mostTried is how many keys a token may be checked with that names none.
	mostTried = 8
)

// Set is a set of public keys. It is not changed once it is made.
type Set struct{ keys []key }

type key struct {
	id        string
	algorithm string // "": any that suits
	public    crypto.PublicKey
}

// Parse reads a set. Keys that cannot check signatures are left out: RFC 7517 has readers
// ignore what they do not understand.
func Parse(text []byte) (*Set, error) {
	if len(text) > mostBytes {
		return nil, fmt.Errorf("the key set has %d bytes, at most %d are allowed", len(text), mostBytes)
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, errors.New("the key set is not JSON as RFC 7517 has it")
	}
	if len(document.Keys) > mostKeys {
		return nil, fmt.Errorf("the key set has %d keys, at most %d are allowed", len(document.Keys), mostKeys)
	}
	s := &Set{}
	for _, text := range document.Keys {
		if one, ok := readKey(text); ok {
			s.keys = append(s.keys, one)
		}
	}
	if len(s.keys) == 0 {
		return nil, errors.New("the key set has no key that can check signatures")
	}
	return s, nil
}

// Find gives the keys that a token of that key id and algorithm may be signed with: one at
// most, or a few if it has no id.
func (s *Set) Find(id, algorithm string) []crypto.PublicKey {
	if s == nil {
		return nil
	}
	var found []crypto.PublicKey
	for _, k := range s.keys {
		if id != "" && k.id != id || k.algorithm != "" && k.algorithm != algorithm || !suits(k.public, algorithm) {
			continue
		}
		if found = append(found, k.public); len(found) == mostTried {
			break
		}
	}
	return found
}

// readKey reads one key; ok tells whether it is a public key for checking signatures.
func readKey(text []byte) (k key, ok bool) {
	var members struct {
		Kid, Kty, Alg, Use string
		Crv, N, E, X, Y    string
		Operations         []string `json:"key_ops"`
	}
	if json.Unmarshal(text, &members) != nil {
		return key{}, false
	}
	if members.Use != "" && members.Use != "sig" || len(members.Operations) > 0 && !slices.Contains(members.Operations, "verify") {
		return key{}, false
	}
	k = key{id: members.Kid, algorithm: members.Alg}
	switch members.Kty {
	case "RSA":
		k.public, ok = readRSA(members.N, members.E)
	case "EC":
		k.public, ok = readEC(members.Crv, members.X, members.Y)
	case "OKP":
		k.public, ok = readEdwards(members.Crv, members.X)
	}
	return k, ok && (k.algorithm == "" || suits(k.public, k.algorithm))
}
