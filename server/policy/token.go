package policy

import (
	"crypto"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postern-dev/postern"
)

const (
	// mostToken bounds a token in bytes.
	mostToken = 16 << 10
	// leeway is how far the clocks of issuers may be off.
	leeway = 30 * time.Second
)

// trust is whom a validation trusts for one request.
type trust struct {
	*validation
	issuers, audiences []string
}

// find gives the token of a place, "" for none, and what is told of it.
func (p tokenPlace) find(e *Evaluation, body *sentFields) (text string, result map[string]any, err error) {
	name, err := e.fill(p.name)
	if err != nil {
		return "", nil, err
	}
	prefix, err := e.fill(p.prefix)
	if err != nil {
		return "", nil, err
	}
	result = map[string]any{"location": p.method, "location_property": name, "verified": false}
	var sent []string
	if p.method == "header" {
		e.doubt(e.headerDoubt(name))
		sent = e.request.Values(name)
	} else if sent, err = body.values(name); err != nil {
		return "", nil, err
	}
	if len(sent) != 1 { // of two, the service might believe the other one
		return "", result, nil
	}
	if len(sent[0]) < len(prefix) || !strings.EqualFold(sent[0][:len(prefix)], prefix) {
		return "", result, nil
	}
	return strings.TrimSpace(sent[0][len(prefix):]), result, nil
}

// check judges a token, and adds to result what is in it; nil for one that is trusted.
func (t trust) check(e *Evaluation, text string, result map[string]any) *postern.Error {
	where := result["location_property"]
	switch {
	case text == "":
		return postern.Errorf(postern.CodePolicyTokenRefused, "there is no single token in %q", where)
	case len(text) > mostToken:
		return postern.Errorf(postern.CodePolicyTokenRefused, "the token in %q is too long", where)
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods(t.algorithms), jwt.WithLeeway(leeway), jwt.WithTimeFunc(e.now), jwt.WithStrictDecoding())
	token, err := parser.ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) { return t.keys(e, token) })
	if token != nil && token.Header != nil {
		result["header"], result["payload"] = token.Header, map[string]any(claims)
		result["signature"] = text[strings.LastIndexByte(text, '.')+1:]
	}
	if known := new(postern.Error); errors.As(err, &known) {
		return known
	}
	if err != nil || !token.Valid {
		return postern.Errorf(postern.CodePolicyTokenRefused, "the token in %q is not trusted: %s", where, reason(err)).Because(err)
	}
	if issuer, err := claims.GetIssuer(); err != nil || !slices.Contains(t.issuers, issuer) || issuer == "" {
		return postern.Errorf(postern.CodePolicyTokenRefused, "the token in %q is of another issuer", where)
	}
	audience, err := claims.GetAudience()
	if err != nil || len(t.audiences) > 0 && !slices.ContainsFunc(audience, func(one string) bool { return slices.Contains(t.audiences, one) }) {
		return postern.Errorf(postern.CodePolicyTokenRefused, "the token in %q is for another audience", where)
	}
	result["verified"] = true
	return nil
}

// keys are those that may have signed a token. The parser has seen that its algorithm is
// allowed; a key is only given out for an algorithm of its kind.
func (t trust) keys(e *Evaluation, token *jwt.Token) (any, error) {
	if _, critical := token.Header["crit"]; critical {
		return nil, postern.Errorf(postern.CodePolicyTokenRefused, "the token has critical headers, and none is known")
	}
	id, _ := token.Header["kid"].(string)
	var set jwt.VerificationKeySet
	var mishap error
	for _, source := range t.sources {
		found, err := source.Find(e.subject.Context, e.caller(), e.subject.Endpoint.Account, id, token.Method.Alg())
		if err != nil {
			mishap = err
		}
		for _, key := range found {
			set.Keys = append(set.Keys, crypto.PublicKey(key))
		}
	}
	switch {
	case len(set.Keys) > 0:
		return set, nil
	case mishap != nil:
		return nil, mishap
	}
	return nil, postern.Errorf(postern.CodePolicyTokenRefused, "nobody whom the endpoint trusts has the key of the token")
}

// reason says what is wrong with a token, in words that are no stranger's.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "it has expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "it is not valid yet"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "its signature does not fit"
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "it is not a signed token"
	}
	return "it cannot be checked"
}
