package policy

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body/eventstream"
	"github.com/postern-dev/postern/server/policy/expression"
)

// Evaluation is one connection's or exchange's way through a Program. It belongs to one
// goroutine, and keeps variables and results from phase to phase.
type Evaluation struct {
	program  *Program
	world    *World
	subject  Subject
	request  Request
	response Response
	url      *urlFacts // the request's, until it is rewritten
	at       expression.Phase
	rule     *rule // whose actions run
	scope    expression.Scope
	trace    func(Step) // nil for none
	endings  []func(status int)
	accepted accepted
	event    *eventstream.Event // that is asked about
	settled  bool               // the policy itself has answered the request
	answer   http.Header        // what the answer gets besides, whoever gives it
	ended    bool               // the connection's TLS, as a rule says or none does
	doubtful string             // what a rule has read that can be read in two ways
	kept     int                // bytes that variables hold
	listed   bool               // the names below were made
	unusual  []string           // names of the request's headers that services may take for others

	overriding []string // and those that they may believe rather than method or target
}

// Step is what a rule has come to, for those who want to know.
type Step struct {
	Where, Name string // of the rule
	Matched     bool
	Action      string // "" for the rule itself
	Verdict     Verdict
	Err         error
}

// Begin begins an evaluation. w must outlive it.
func (p *Program) Begin(w *World, s Subject) *Evaluation {
	e := &Evaluation{program: p, world: w, subject: s}
	e.scope = expression.Scope{
		Context: s.Context, Conn: connFacts{e}, Endpoint: endpointFacts{e},
		Secret: e.secret, Now: e.now,
	}
	return e
}

// Trace has f told of every step.
func (e *Evaluation) Trace(f func(Step)) { e.trace = f }

// Connect asks about the connection.
func (e *Evaluation) Connect() (Verdict, error) {
	return e.run(expression.Connect)
}

// Request asks about a request, which actions may edit until it returns.
func (e *Evaluation) Request(r Request) (Verdict, error) {
	e.request, e.url, e.listed, e.unusual, e.overriding = r, nil, false, nil, nil
	e.scope.Request = requestFacts{e}
	for _, k := range e.program.used {
		if k.arrives != nil {
			k.arrives(e)
		}
	}
	verdict, err := e.run(expression.Request)
	if e.settled = err != nil || verdict.Decision == Respond || verdict.Decision == Close; e.settled {
		return e.completed(verdict), err
	}
	for _, k := range e.program.used {
		if k.leaves != nil {
			k.leaves(e)
		}
	}
	if e.program.outlives() {
		e.request = &keptRequest{keep(r), r.Method(), r.Host(), r.Target()}
	}
	return verdict, nil
}

// Response asks about a request's answer, which actions may edit until it returns. The
// request is what it was when it went on: r may be nil.
func (e *Evaluation) Response(r Response) (Verdict, error) {
	e.response = r
	e.scope.Response = responseFacts{e}
	verdict, err := e.run(expression.Response)
	if err == nil && verdict.Decision == Continue {
		err = e.follow()
	}
	if err == nil && verdict.Decision == Continue {
		for name, values := range e.answer {
			for _, value := range values {
				r.Add(name, value)
			}
		}
	}
	return e.completed(verdict), err
}

// atAnswer has the visitor's answer get a line of header, whoever gives it. What rules
// for answers say does not touch it.
func (e *Evaluation) atAnswer(name, value string) {
	if e.answer == nil {
		e.answer = make(http.Header)
	}
	e.answer.Add(name, value)
}

// completed is a verdict whose answer has what atAnswer was told.
func (e *Evaluation) completed(v Verdict) Verdict {
	if v.Decision != Respond || len(e.answer) == 0 {
		return v
	}
	answer := *v.Answer
	if answer.Header = answer.Header.Clone(); answer.Header == nil {
		answer.Header = make(http.Header)
	}
	for name, values := range e.answer {
		for _, value := range values {
			answer.Header.Add(name, value)
		}
	}
	v.Answer = &answer
	return v
}

// State is what an evaluation has found so far, for another one to go on with.
type State struct {
	vars, actions map[string]any
	kept          int
}

// State gives what was found so far. It must not be used further.
func (e *Evaluation) State() State { return State{e.scope.Vars, e.scope.Actions, e.kept} }

// Resume begins where another evaluation was.
func (e *Evaluation) Resume(s State) {
	e.scope.Vars, e.kept = maps.Clone(s.vars), s.kept
	if s.actions != nil {
		found, _ := s.actions[ngrokResults].(map[string]any)
		e.scope.Actions = map[string]any{ngrokResults: maps.Clone(found)}
	}
}

// ngrokResults is where actions leave what they have found.
const ngrokResults = "ngrok"

// End tells actions how the exchange ended: by a status, 0 for none.
func (e *Evaluation) End(status int) {
	for _, end := range e.endings {
		end(status)
	}
	e.endings = nil
}

// atEnd has f called by End.
func (e *Evaluation) atEnd(f func(status int)) { e.endings = append(e.endings, f) }

// run goes through the rules of a phase.
func (e *Evaluation) run(at expression.Phase) (Verdict, error) {
	e.at = at
	e.scope.Anew()
	for i := range e.program.phases[at] {
		if err := e.endBefore(at, i); err != nil {
			return Verdict{}, err
		}
		r := &e.program.phases[at][i]
		matched, err := e.matches(r)
		if e.trace != nil {
			e.trace(Step{Where: r.where, Name: r.name, Matched: matched, Err: err})
		}
		if err != nil {
			return Verdict{}, err
		}
		if !matched {
			continue
		}
		verdict, err := e.perform(r)
		if err != nil || verdict.Decision != Continue {
			return verdict, err
		}
	}
	return Verdict{}, nil
}

// matches tells whether all conditions of a rule hold. What looks at something that is not
// there does not; what cannot be worked out otherwise is an error, for a rule that is
// passed over in silence may be what keeps strangers out.
func (e *Evaluation) matches(r *rule) (bool, error) {
	for i := range r.expressions {
		held, err := r.expressions[i].True(&e.scope)
		if e.doubtful != "" {
			return false, e.settle(nil)
		}
		if err != nil && !expression.IsAbsent(err) {
			return false, postern.Errorf(postern.CodePolicyFailed, "%s.expressions[%d], %q, cannot be worked out: %v", r.where, i, clip(r.expressions[i].text), err)
		}
		if !held || err != nil {
			return false, nil
		}
	}
	return true, nil
}

func (e *Evaluation) perform(r *rule) (Verdict, error) {
	e.rule = r
	for i := range r.actions {
		verdict, err := r.actions[i].run(e)
		if err = placed(e.settle(err), r, i); err != nil {
			verdict = Verdict{}
		}
		if e.trace != nil {
			e.trace(Step{Where: r.where, Name: r.name, Matched: true, Action: r.actions[i].kind, Verdict: verdict, Err: err})
		}
		if err != nil || verdict.Decision != Continue {
			return verdict, err
		}
	}
	return Verdict{}, nil
}

// placed says in which action it is that a policy cannot be worked out. What its texts have
// become stands in no such message: it may be a secret.
func placed(err error, r *rule, i int) error {
	if !postern.HasCode(err, postern.CodePolicyFailed) {
		return err
	}
	failure := *postern.AsError(err)
	failure.Message = fmt.Sprintf("%s.actions[%d] (%s): %s", r.where, i, r.actions[i].kind, failure.Text())
	return &failure
}

// head is the message of the phase that is asked about.
func (e *Evaluation) head() Head {
	if e.at == expression.Response || e.at == expression.Message {
		return e.response
	}
	return e.request
}

// fill gives a template's text; "" for none. What is not there is left out.
func (e *Evaluation) fill(t *expression.Template) (string, error) {
	if t == nil {
		return "", nil
	}
	text, err := t.Text(&e.scope)
	if err != nil && !expression.IsAbsent(err) {
		return "", postern.Errorf(postern.CodePolicyFailed, "a text cannot be filled in: %v", err)
	}
	return text, nil
}

// result keeps what an action has found, as actions.ngrok.<name>: an object.
func (e *Evaluation) result(name string, value any) {
	if e.scope.Actions == nil {
		e.scope.Actions = map[string]any{ngrokResults: map[string]any{}}
	}
	e.scope.Actions[ngrokResults].(map[string]any)[name] = value
}

func (e *Evaluation) now() time.Time {
	if e.world.Now != nil {
		return e.world.Now()
	}
	return time.Now()
}

func (e *Evaluation) secret(ctx context.Context, vault, name string) (string, error) {
	if e.world.Secret == nil {
		return "", postern.Errorf(postern.CodePolicyFailed, "there are no vaults here")
	}
	value, err := e.world.Secret(ctx, e.subject.Endpoint.Account, vault, name)
	return value.Reveal(), err
}
