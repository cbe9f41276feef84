package policy

import (
	"maps"
	"slices"

	"github.com/postern-dev/postern/server/policy/expression"
)

// Needs is what a program must be given of exchanges.
type Needs uint8

// The needs.
const (
	// NeedHead is to see and edit heads.
	NeedHead Needs = 1 << iota
	// NeedChange is to read or replace bodies.
	NeedChange
)

// action does one thing to a connection or a message. It is made once and used by all at
// a time: what it keeps between exchanges it guards.
type action interface {
	// run does it. An error is for the visitor and ends the exchange. It may block as
	// long as the evaluation's context lives.
	run(e *Evaluation) (Verdict, error)
}

// kind is what a policy's text may name as an action's type.
type kind struct {
	name   string
	phases []expression.Phase
	needs  Needs // beyond heads
	// authenticates tells that visitors prove who they are; one action a phase may.
	authenticates bool
	// ends tells whether nothing behind the action is ever reached; nil: never.
	ends func(config *node) bool
	// arrives and leaves have actions of later phases deal with a request: before all rules
	// for requests, and behind them, once for each kind; nil: nothing.
	arrives, leaves func(e *Evaluation)
	// build reads the configuration. What is wrong it reports to c.
	build func(c *config) action
}

// The phases that most actions have.
var (
	inTCP      = []expression.Phase{expression.Connect}
	inRequest  = []expression.Phase{expression.Request}
	inResponse = []expression.Phase{expression.Response}
)

func in(phases ...[]expression.Phase) []expression.Phase { return slices.Concat(phases...) }

// kinds is every action that there is.
func kinds() []kind {
	return []kind{
		addHeaders(),
		basicAuth(),
		circuitBreaker(),
		closeConnection(),
		compressResponse(),
		customResponse(),
		deny(),
		forwardInternal(),
		httpRequest(),
		jwtValidation(),
		logAction(),
		rateLimit(),
		redirect(),
		removeHeaders(),
		requestBodyFindReplace(),
		responseBodyFindReplace(),
		restrictIPs(),
		setVars(),
		sseFindReplace(),
		terminateTLS(),
		urlRewrite(),
	}
}

// absent are ngrok's actions that are not built, with what to use instead.
func absent() map[string]string {
	return map[string]string{
		"oauth":              "",
		"openid-connect":     "",
		"saml":               "",
		"verify-webhook":     "",
		"owasp-crs-request":  "",
		"owasp-crs-response": "",
		"ai-gateway":         "",
	}
}

// Kinds lists the actions that there are, sorted.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	slices.Sort(names)
	return names
}

// Absent lists ngrok's actions that are not built, sorted.
func Absent() []string { return slices.Sorted(maps.Keys(absent())) }

func kindNamed(name string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

func always(*node) bool { return true }
