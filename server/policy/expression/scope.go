package expression

import (
	"context"
	"time"

	"cel.dev/cel-go/cel"
)

// Object is a value with fields that are looked at when asked for.
//
// Field gives nil for what is absent. Otherwise a string, bool, int64, uint64, float64,
// int, []byte, time.Time, time.Duration, []string, map[string]string,
// map[string][]string, map[string]any, []any, []Object, map[string][]Object, a Map, or an
// Object. It must not block. Objects of vars and actions may be asked for any name.
type Object interface{ Field(name string) any }

// Text is an Object that is a text as well, like conn.client_ip: named alone it is its
// text, and it has fields behind a dot. Where nothing is known but the text, Field may
// give a string instead.
type Text interface {
	Object
	Text() string
}

// Map is a map whose values are looked up when asked for. Get gives nil for what is
// absent, and is called with names as they stand in the expression.
type Map interface {
	Get(name string) any
	Names() []string
}

// Scope is what the expressions of one connection or exchange see. A nil Object is
// absent, and an expression that names it fails.
type Scope struct {
	Context                                    context.Context // nil: context.Background
	Conn, Endpoint, Request, Response, Message Object
	Vars, Actions                              map[string]any // vars.x, actions.ngrok.x, actions.postern.x

	Attempts    int64          // for CompileRetry
	LastAttempt map[string]any // the same

	// Secret reads a secret. It may block as long as Context allows.
	Secret func(ctx context.Context, vault, name string) (string, error)
	Now    func() time.Time // nil: time.Now

	taken  time.Duration // by expressions that may take long, since Anew
	waited time.Duration // by them, for what is not theirs
}

// Anew gives the expressions of another message all of the time that there is: one message
// has a bounded time for all expressions, however many there are.
func (s *Scope) Anew() { s.taken = 0 }

// Work does what is no expression and may take long, within the same time. It is a
// *Failure that there is none left.
func (s *Scope) Work(f func()) error {
	began, err := s.start()
	if err == nil {
		f()
		s.stop(began)
	}
	return err
}

func (s *Scope) start() (began time.Time, err error) {
	if s.taken > mostTime {
		return began, exceeded("what came before has taken all of the time that there is")
	}
	s.waited = 0
	return time.Now(), nil
}

func (s *Scope) stop(began time.Time) { s.taken += time.Since(began) - s.waited }

// activation shows a Scope to CEL.
type activation Scope

// scopeName is the variable that functions which need the whole scope are given. Nobody
// can write it.
const scopeName = "@scope"

// ResolveName is CEL's way to ask for a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "req":
		return a.Request, a.Request != nil
	case "conn":
		return a.Conn, a.Conn != nil
	case "res":
		return a.Response, a.Response != nil
	case "vars":
		return a.Vars, true
	case "actions":
		return a.Actions, true
	case "endpoint":
		return a.Endpoint, a.Endpoint != nil
	case "message":
		return a.Message, a.Message != nil
	case "time.now":
		return a.now().UTC().Format(time.RFC3339), true
	case "attempts":
		return a.Attempts, true
	case "last_attempt":
		return a.LastAttempt, true
	case scopeName:
		return (*Scope)(a), true
	}
	return nil, false
}

// Parent is CEL's way to ask for an outer scope; there is none.
func (a *activation) Parent() cel.Activation { return nil }

func (a *activation) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}
