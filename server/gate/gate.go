package gate

import (
	"context"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/throttle"
)

// guessesPerMinute is how many wrong passwords may come from an address in a minute.
const guessesPerMinute = 20

// DefaultRealm is what browsers show where the endpoint's owner says nothing else.
const DefaultRealm = "ngrok"

// Longest time of GrantAddress, and the shortest that is not none.
const (
	ShortestGrant = time.Minute
	LongestGrant  = 24 * time.Hour
)

// Passwords compares passwords with hashes. *password.Hasher is one.
type Passwords interface {
	Verify(ctx context.Context, password, hash postern.Secret) (right, outdated bool, err error)
}

// Config is what a gate is made from.
type Config struct {
	// Scope is whose gate it is: account and URL of the endpoint. A cookie of one scope is
	// worth nothing in another.
	Scope string
	// Realm is what browsers show; empty: DefaultRealm.
	Realm string
	// GrantAddress is for how long the address of a visitor who signed in passes by itself;
	// 0: never.
	GrantAddress time.Duration
	// StopPreflights has CORS preflights need a credential, too.
	StopPreflights bool

	Signer    Signer           // nil: no cookies
	Passwords Passwords        // for credentials with hashes; nil: the gate's own
	Now       func() time.Time // nil: time.Now
}

// Gate decides who passes. It keeps nothing about requests but addresses that guessed
// and, with GrantAddress, that signed in: both bounded, and gone with it. Its methods may
// be called concurrently.
type Gate struct {
	scope, realm   string
	cookieName     string
	stopPreflights bool
	signer         Signer
	passwords      Passwords
	now            func() time.Time
	throttle       *throttle.Throttle
	grants         *grants // nil: addresses do not pass by themselves
}

// New makes a gate. A realm or a time that cannot be is CodeFieldInvalid.
func New(c Config) (*Gate, error) {
	if c.Realm == "" {
		c.Realm = DefaultRealm
	}
	if len(c.Realm) > mostRealm || !plainText(c.Realm) {
		return nil, postern.Errorf(postern.CodeFieldInvalid, "the realm must be text of at most %d bytes without control characters", mostRealm)
	}
	if c.GrantAddress != 0 && (c.GrantAddress < ShortestGrant || c.GrantAddress > LongestGrant) {
		return nil, postern.Errorf(postern.CodeFieldInvalid, "an address cannot be let in for %v; choose from %v to %v", c.GrantAddress, ShortestGrant, LongestGrant)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Passwords == nil {
		c.Passwords = password.New(password.Ordinary())
	}
	g := &Gate{
		scope: c.Scope, realm: c.Realm, cookieName: cookieName(c.Scope, c.Realm), stopPreflights: c.StopPreflights,
		signer: c.Signer, passwords: c.Passwords, now: c.Now, throttle: throttle.New(c.Now),
	}
	if c.GrantAddress != 0 {
		g.grants = newGrants(c.GrantAddress)
	}
	return g, nil
}

// Request is what a gate decides about.
type Request struct {
	Method string
	Secure bool // it came over TLS
	// Header gives the lines of a header by its canonical name, as the visitor sent them:
	// Postern-Authorization, too, which goes nowhere else.
	Header  func(name string) []string
	HasBody bool
	Client  netip.Addr
	// Nameless tells that Client is a proxy that has named nobody: an address of everybody
	// behind it, which passes nobody by itself.
	Nameless bool
}

// Outcome is what a gate has decided about a request.
type Outcome struct {
	// Refusal is the gate's own answer; nil: the request passes.
	Refusal *Refusal
	// Presented tells whether the visitor showed something of the gate's.
	Presented bool
	// Authorized tells whether the visitor signed in, now or before. A preflight passes
	// without.
	Authorized bool
	// Username is the presented one; of a visitor who is not authorized it is anybody's
	// claim. Empty for addresses that pass by themselves.
	Username string
	// SetCookie is to be added to the answer, whoever gives it; "" for nothing.
	SetCookie string

	preflight  bool
	own        bool   // Authorization is the gate's own
	cookieName string // whose pairs are the gate's own
}

// Check decides about a request. It may block while a password is hashed, as long as ctx
// lives.
func (g *Gate) Check(ctx context.Context, credentials *Credentials, r Request) Outcome {
	v := visit{gate: g, credentials: credentials, request: r, outcome: Outcome{cookieName: g.cookieName}}
	failure := v.enter(ctx)
	switch {
	case failure == nil && v.outcome.Authorized:
		v.remember()
	case failure == nil && g.passesPreflight(r, v.outcome.Presented):
		v.outcome.preflight = true
	default:
		if failure == nil {
			failure = postern.Errorf(postern.CodePasswordRequired, "A name and a password are needed here")
		}
		v.outcome.Authorized = false
		v.outcome.Refusal = g.refuse(r, failure, v.wait)
	}
	return v.outcome
}

// setsCookies tells whether a browser would keep our cookie: over TLS only.
func (g *Gate) setsCookies(r Request) bool { return g.signer != nil && r.Secure }
