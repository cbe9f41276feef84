package jwks_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/policy/jwks"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

type object = map[string]any

func b64(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// material is made once: RSA keys take their time.
var material = sync.OnceValue(func() (m struct {
	rsa, ed, p256, p384, p521 object
	public                    *rsa.PublicKey
}) {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	m.public = &pair.PublicKey
	m.rsa = object{"kty": "RSA", "n": b64(pair.N.Bytes()), "e": "AQAB"}
	edwards, _, _ := ed25519.GenerateKey(rand.Reader)
	m.ed = object{"kty": "OKP", "crv": "Ed25519", "x": b64(edwards)}
	for curve, to := range map[elliptic.Curve]*object{elliptic.P256(): &m.p256, elliptic.P384(): &m.p384, elliptic.P521(): &m.p521} {
		pair, _ := ecdsa.GenerateKey(curve, rand.Reader)
		point, _ := pair.PublicKey.Bytes()
		half := len(point) / 2
		*to = object{"kty": "EC", "crv": curve.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	}
	return m
})

// with is a key with more members, or others.
func with(key object, more ...string) object {
	all := object{}
	for name, value := range key {
		all[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func text(keys ...any) []byte {
	text, err := json.Marshal(object{"keys": keys})
	if err != nil {
		panic(err)
	}
	return text
}

// A key is found for the algorithms of its kind, and no other.
func TestFind(t *testing.T) {
	m := material()
	set, err := jwks.Parse(text(
		with(m.rsa, "kid", "rsa"), with(m.rsa, "kid", "only", "alg", "RS512", "use", "sig"), with(m.ed, "kid", "ed"), with(m.p256, "kid", "p256"),
		with(m.p384, "kid", "p384"), with(m.p521, "kid", "p521"), with(m.p256, "kid", "both"), with(m.ed, "kid", "both"),
	))
	if err != nil {
		t.Fatal(err)
	}
	every := append(jwks.Algorithms(), "none", "None", "", "HS256", "HS384", "HS512", "ES256K", "rs256")
	for id, algorithms := range map[string]string{
		"rsa": "RS256 RS384 RS512 PS256 PS384 PS512", "only": "RS512", "ed": "EdDSA", "p256": "ES256", "p384": "ES384", "p521": "ES512", "both": "ES256 EdDSA", "unknown": "",
	} {
		for _, algorithm := range every {
			want := algorithm != "" && strings.Contains(" "+algorithms+" ", " "+algorithm+" ")
			if got := len(set.Find(id, algorithm)) == 1; got != want {
				t.Errorf("%q with %q: %v", id, algorithm, got)
			}
		}
	}
	if n := len(set.Find("", "RS512")); n != 2 {
		t.Errorf("%d keys for a token without an id, want 2", n)
	}
	if n := len(set.Find("", "HS256")); n != 0 {
		t.Errorf("%d public keys are given out as secrets", n)
	}
	if got := set.Find("rsa", "RS256")[0].(*rsa.PublicKey); !got.Equal(m.public) {
		t.Error("it is another key")
	}
}

// What cannot check signatures, or is weak, is left out.
func TestKeysThatAreLeftOut(t *testing.T) {
	m := material()
	weak, _ := new(big.Int).SetString(strings.Repeat("f", 256), 16) // 1024 bits
	huge := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 8192), big.NewInt(1))
	for name, one := range map[string]any{
		"a secret":                   object{"kty": "oct", "k": "c2VjcmV0"},
		"no kind":                    with(m.rsa, "kty", ""),
		"for encryption":             with(m.rsa, "use", "enc"),
		"for signing only":           object{"kty": "RSA", "n": m.rsa["n"], "e": "AQAB", "key_ops": []string{"sign"}},
		"an algorithm of another":    with(m.rsa, "alg", "ES256"),
		"an RSA key for secrets":     with(m.rsa, "alg", "HS256"),
		"an algorithm for nothing":   with(m.rsa, "alg", "none"),
		"a weak key":                 with(m.rsa, "n", b64(weak.Bytes())),
		"a huge key":                 with(m.rsa, "n", b64(huge.Bytes())),
		"an exponent of 1":           with(m.rsa, "e", "AQ"),
		"an even exponent":           with(m.rsa, "e", "Ag"),
		"a large exponent":           with(m.rsa, "e", b64([]byte{1, 0, 0, 0, 1})),
		"no exponent":                with(m.rsa, "e", ""),
		"base64 of another alphabet": with(m.rsa, "n", "+/+/"),
		"a point beside the curve":   with(m.p256, "x", b64(make([]byte, 32))),
		"a point of another curve":   with(m.p256, "crv", "P-384"),
		"a long coordinate":          with(m.p256, "x", b64(make([]byte, 33))),
		"a curve that is not known":  with(m.p256, "crv", "secp256k1"),
		"half an Edwards key":        with(m.ed, "x", b64(make([]byte, 16))),
		"a key to agree with":        with(m.ed, "crv", "X25519"),
		"no object":                  "key",
		"a number for a string":      object{"kty": 1},
	} {
		if _, err := jwks.Parse(text(one)); err == nil {
			t.Errorf("%s passes", name)
		}
		set, err := jwks.Parse(text(one, with(m.ed, "kid", "good")))
		if err != nil || len(set.Find("good", "EdDSA")) != 1 {
			t.Errorf("%s spoils its neighbour: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	many := make([]any, 65)
	for i := range many {
		many[i] = material().ed
	}
	for says, set := range map[string]string{
		"is not JSON":     "<html>",
		"has no key":      `{"keys": []}`,
		"has no key that": `{}`,
		"at most 64":      string(text(many...)),
		"at most 262144":  strings.Repeat(" ", 256<<10) + "{}",
	} {
		if _, err := jwks.Parse([]byte(set)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	m := material()
	f.Add(text(m.rsa, m.ed, m.p256))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-521","x":"AA","y":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := jwks.Parse(text)
		if err != nil {
			return
		}
		found := 0
		for _, algorithm := range jwks.Algorithms() {
			found += len(set.Find("", algorithm))
		}
		if found == 0 {
			t.Error("a set without keys")
		}
		if n := len(set.Find("", "none")) + len(set.Find("", "HS256")); n != 0 {
			t.Error("a key for what needs none")
		}
	})
}
