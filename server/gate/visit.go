package gate

import (
	"context"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// visit is a request on its way through a gate.
type visit struct {
	gate        *Gate
	credentials *Credentials
	request     Request
	outcome     Outcome
	shown       *credential   // in a header
	remembered  *credential   // by the cookie
	left        time.Duration // of the cookie's life
	wait        time.Duration // until guesses are heard again
}

// enter looks at each way in. A failure says why the request is refused whatever else it
// has.
func (v *visit) enter(ctx context.Context) *postern.Error {
	own, shared := v.request.Header(HeaderName), v.request.Header("Authorization")
	if ambiguous(own) || ambiguous(shared) {
		return postern.Errorf(postern.CodeRequestInvalid, "The credentials are ambiguous: a header has more than one value")
	}
	v.enterByCookie()
	if len(own) == 1 {
		if failure := v.enterByHeader(ctx, own[0]); failure != nil {
			return failure
		}
	}
	if !v.outcome.Authorized && v.grants() && v.gate.grants.has(v.request.Client, v.credentials.mark, v.gate.now()) {
		v.outcome.Authorized = true
	}
	if len(shared) == 1 {
		return v.enterByAuthorization(ctx, shared[0])
	}
	return nil
}

// grants tells whether the visitor's address may pass by itself.
func (v *visit) grants() bool { return v.gate.grants != nil && !v.request.Nameless }

// remember has the visitor's next requests pass, as far as that is wanted.
func (v *visit) remember() {
	g := v.gate
	if v.grants() && (v.shown != nil || v.remembered != nil) {
		g.grants.put(v.request.Client, v.credentials.mark, g.now())
	}
	if v.shown != nil && g.setsCookies(v.request) && (v.shown != v.remembered || v.left < cookieRenewal) {
		v.outcome.SetCookie = g.cookie(v.shown)
	}
}

func (v *visit) enterByCookie() {
	lines := v.request.Header("Cookie")
	if !v.gate.setsCookies(v.request) || !strings.Contains(strings.Join(lines, ";"), v.gate.cookieName) {
		return
	}
	v.outcome.Presented = true
	v.remembered, v.left = v.gate.signedIn(v.credentials, lines)
	if v.remembered != nil {
		v.outcome.Authorized, v.outcome.Username = true, v.remembered.Username
	}
}

// enterByHeader reads what is for the gate alone: it must be right.
func (v *visit) enterByHeader(ctx context.Context, value string) *postern.Error {
	v.outcome.Presented = true
	p, ok := parseBasic(value)
	if !ok {
		return postern.Errorf(postern.CodePasswordRequired, "%s has no credential; send %s: Basic, and USER:PASSWORD in base64", HeaderName, HeaderName)
	}
	v.outcome.Username = p.username
	match, failure := v.guess(ctx, p)
	if failure != nil {
		return failure
	}
	if match == nil {
		return postern.Errorf(postern.CodePasswordRequired, "The name or the password in %s is wrong", HeaderName)
	}
	v.accept(match)
	return nil
}

// enterByAuthorization reads what may be the service's. Who is in already need not show
// anything here, so that what is not the gate's passes; but a value with a name of the
// gate's is looked at, for the gate's own must not reach the service. It is a guess like
// any other: else somebody whose address passes could try passwords, and see from the
// service's answers which one was taken away.
func (v *visit) enterByAuthorization(ctx context.Context, value string) *postern.Error {
	p, ok := parseBasic(value)
	if !ok {
		return nil
	}
	in := v.outcome.Authorized
	if in && !v.credentials.names(p.username) {
		return nil
	}
	match, failure := v.guess(ctx, p)
	switch {
	case failure != nil:
		return failure
	case match != nil:
		v.outcome.Presented, v.outcome.own = true, true
		v.accept(match)
	case !in:
		v.outcome.Presented, v.outcome.Username = true, p.username
	}
	return nil
}

// guess tells which credential a value is, nil for none. A failure says that it was not
// heard.
func (v *visit) guess(ctx context.Context, p presented) (*credential, *postern.Error) {
	g, s := v.gate, v.credentials
	value := s.sum(p.pair)
	if match := s.find(value); match != nil && match.proven.Load() {
		return match, nil
	}
	if s.knownWrong(value) {
		return nil, nil
	}
	secret := postern.Secret(p.pair)
	if v.wait = g.throttle.Admits(v.request.Client, secret, guessesPerMinute); v.wait > 0 {
		return nil, &postern.Error{Code: postern.CodeTooManyGuesses}
	}
	match, err := s.judge(ctx, g.passwords, value, p)
	switch {
	case err != nil:
		return nil, postern.AsError(err)
	case match == nil:
		g.throttle.Failed(v.request.Client, secret, guessesPerMinute)
		return nil, nil
	}
	match.proven.Store(true)
	return match, nil
}

// accept lets the owner of a credential in.
func (v *visit) accept(c *credential) {
	v.outcome.Authorized, v.outcome.Username, v.shown = true, c.Username, c
}
