package gate

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

const (
	mostRealm  = 128
	mostOrigin = 256
)

// Refusal is the gate's own answer to a request.
type Refusal struct {
	// Failure is CodePasswordRequired, CodeTooManyGuesses, CodeRequestInvalid, or
	// CodeServerBusy. Its text is for the visitor.
	Failure *postern.Error
	// Header is what the answer is sent with besides what its body needs.
	Header http.Header
}

func (g *Gate) refuse(r Request, failure *postern.Error, wait time.Duration) *Refusal {
	h := make(http.Header)
	switch failure.Code {
	case postern.CodePasswordRequired:
		h.Set("WWW-Authenticate", challenge(g.realm))
	case postern.CodeTooManyGuesses:
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Origin")
	// A page of another origin may read that it is the gate that refuses, and why; not
	// with a visitor's cookies, so that it does not learn who has signed in (Fetch
	// standard, "CORS protocol").
	if origin := r.Header("Origin"); len(origin) == 1 && isOrigin(origin[0]) {
		h.Set("Access-Control-Allow-Origin", origin[0])
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, Ngrok-Error-Code, Postern-Error-Code, Postern-Request-Id")
	}
	return &Refusal{Failure: failure, Header: h}
}

// challenge asks for a credential (RFC 7617 §2). Passwords are UTF-8.
func challenge(realm string) string {
	return `Basic realm="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(realm) + `", charset="UTF-8"`
}

// isOrigin tells whether a text is what browsers call an origin (RFC 6454 §6.2).
func isOrigin(text string) bool {
	if text == "null" {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && len(text) <= mostOrigin && u.Scheme != "" && u.Host != "" && text == u.Scheme+"://"+u.Host
}
