package policy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// keySet is a Caller that answers with one text.
type keySet string

func (k keySet) Do(context.Context, outcall.Call) (*outcall.Answer, error) {
	return &outcall.Answer{Status: 200, Body: []byte(k)}, nil
}

// forge writes a token by hand.
func forge(header, claims map[string]any, sign func(text string) []byte) string {
	part := func(value any) string {
		text, _ := json.Marshal(value)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(header) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

// No token passes that the issuer's key has not signed by an algorithm that is allowed.
func TestForgedTokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, mine, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	b64 := base64.RawURLEncoding.EncodeToString
	set := keySet(fmt.Sprintf(`{"keys": [{"kty": "RSA", "kid": "one", "n": %q, "e": "AQAB"}]}`, b64(key.N.Bytes())))
	program, err := policy.Compile(`{"on_http_request": [{"actions": [{"type": "jwt-validation", "config": {
		"issuer": {"allow_list": [{"value": "https://issuer.example"}]},
		"http": {"tokens": [{"type": "jwt", "method": "header", "name": "x-token"}]},
		"jws": {"allowed_algorithms": ["RS256", "EdDSA"], "keys": {"sources": {"additional_jkus": ["https://issuer.example/keys"]}}}}}]}]}`, target(postern.HTTPS, false))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": "https://issuer.example"}
	rs := func(method jwt.SigningMethod) func(string) []byte {
		return func(text string) []byte {
			signature, err := method.Sign(text, key)
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}
	}
	hs := func(secret []byte) func(string) []byte {
		return func(text string) []byte { s, _ := jwt.SigningMethodHS256.Sign(text, secret); return s }
	}
	ed := func(text string) []byte { return ed25519.Sign(mine, []byte(text)) }
	none := func(string) []byte { return nil }
	header := func(algorithm, id string, more ...any) map[string]any {
		all := map[string]any{"alg": algorithm, "kid": id, "typ": "JWT"}
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}
		return all
	}
	good := forge(header("RS256", "one"), claims, rs(jwt.SigningMethodRS256))
	own := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(public)}
	for name, test := range map[string]struct {
		token string
		pass  bool
	}{
		"good":                        {good, true},
		"no key id":                   {forge(map[string]any{"alg": "RS256"}, claims, rs(jwt.SigningMethodRS256)), true},
		"none":                        {forge(header("none", "one"), claims, none), false},
		"None":                        {forge(header("None", "one"), claims, none), false},
		"no algorithm":                {forge(map[string]any{"kid": "one"}, claims, rs(jwt.SigningMethodRS256)), false},
		"the public key as a secret":  {forge(header("HS256", "one"), claims, hs(text)), false},
		"its bytes as a secret":       {forge(header("HS256", "one"), claims, hs(der)), false},
		"an empty secret":             {forge(header("HS256", "one"), claims, hs(nil)), false},
		"an algorithm not allowed":    {forge(header("RS512", "one"), claims, rs(jwt.SigningMethodRS512)), false},
		"another kind of key":         {forge(header("EdDSA", "one"), claims, ed), false},
		"a key of its own":            {forge(header("EdDSA", "one", "jwk", own), claims, ed), false},
		"a key set of its own":        {forge(header("EdDSA", "one", "jku", "https://evil.example/keys"), claims, ed), false},
		"an unknown key":              {forge(header("RS256", "two"), claims, rs(jwt.SigningMethodRS256)), false},
		"critical headers":            {forge(header("RS256", "one", "crit", []string{"b64"}, "b64", false), claims, rs(jwt.SigningMethodRS256)), false},
		"no signature":                {good[:strings.LastIndexByte(good, '.')+1], false},
		"no issuer":                   {forge(header("RS256", "one"), map[string]any{}, rs(jwt.SigningMethodRS256)), false},
		"issuers":                     {forge(header("RS256", "one"), map[string]any{"iss": []string{"https://issuer.example"}}, rs(jwt.SigningMethodRS256)), false},
		"an issuer that is a part":    {forge(header("RS256", "one"), map[string]any{"iss": "https://issuer.example/"}, rs(jwt.SigningMethodRS256)), false},
		"expired":                     {forge(header("RS256", "one"), map[string]any{"iss": claims["iss"], "exp": time.Now().Add(-time.Hour).Unix()}, rs(jwt.SigningMethodRS256)), false},
		"an expiry that is no number": {forge(header("RS256", "one"), map[string]any{"iss": claims["iss"], "exp": "never"}, rs(jwt.SigningMethodRS256)), false},
		"too long":                    {good + strings.Repeat("A", 16<<10), false},
		"five parts":                  {good + ".a.b", false},
		"nothing":                     {"..", false},
	} {
		c := trial.Case{Request: &trial.Request{URL: "https://app.example.com/", Headers: map[string]trial.Values{"x-token": {test.token}}}}
		got, err := trial.Run(t.Context(), program, target(postern.HTTPS, false), &policy.World{Calls: set}, c)
		if err != nil {
			t.Fatal(err)
		}
		if passed := got.Decision == "continue"; passed != test.pass {
			t.Errorf("%s: %s %s", name, got.Decision, got.Code)
		}
	}
}
