package edge

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// policies holds exchanges to the policies of their endpoints.
type policies struct{ edge *Edge }

// Subscribe implements Subscriber.
func (p *policies) Subscribe(r *route.Route) Subscription {
	if r == nil {
		return Subscription{}
	}
	var needs Needs
	for _, program := range r.Policies {
		of := program.Needs()
		if of&policy.NeedHead != 0 {
			needs |= NeedHead
		}
		if of&policy.NeedChange != 0 {
			needs |= NeedChange
		}
	}
	if needs == 0 { // there is no rule in any of them
		return Subscription{}
	}
	return Subscription{Needs: needs, Follow: func(x *Exchange) Follower { return &policed{edge: p.edge, context: askedContext{x: x}} }}
}

// policed holds one exchange to the policy of the member that it is for.
type policed struct {
	Passive
	edge        *Edge
	context     askedContext
	evaluations []*policy.Evaluation // of the endpoints on the way, the public one first; those without a policy have none
}

// Request implements Follower.
func (p *policed) Request(x *Exchange) (*Answer, error) {
	conn := &visitorFacts{v: x.visitor, client: x.Client()}
	for {
		x.obeyed = x.policyOf()
		if x.obeyed == nil {
			return nil, nil
		}
		verdict, err := p.judge(x, conn)
		if err != nil || verdict.Decision != policy.Forward {
			return answerOf(verdict, err)
		}
	}
}

// judge asks the policy that x obeys now.
func (p *policed) judge(x *Exchange, conn *visitorFacts) (policy.Verdict, error) {
	if err := x.endedBy(x.obeyed); err != nil {
		return policy.Verdict{}, err
	}
	evaluation := x.obeyed.Begin(&p.edge.config.Policy, policy.Subject{
		Context: &p.context, Connection: conn, Endpoint: p.edge.endpointFacts(x.serving(), x.picked),
		Scheme: x.Scheme(), Protocol: x.Protocol(), Started: x.times.Started, Forward: x.Forward, EndTLS: x.endedAs, Depth: x.visitor.depth(),
		RequestID: x.ID, Number: x.visitor.number, Nameless: x.nameless(),
	})
	p.evaluations = append(p.evaluations, evaluation)
	before := x.forwarded.hops
	verdict, err := x.visitor.connected(evaluation, x.obeyed, conn.client)
	switch {
	case err != nil:
		return verdict, err
	case verdict.Decision == policy.Forward && x.forwarded.hops == before: // said of the connection before
		if err = x.Forward(verdict.Forward); err == nil || !verdict.Continues {
			return verdict, err
		}
	case verdict.Decision != policy.Continue:
		return verdict, nil
	}
	return evaluation.Request(&x.request)
}

// Response implements Follower.
func (p *policed) Response(x *Exchange) (*Answer, error) {
	for _, evaluation := range slices.Backward(p.evaluations) {
		if answer, err := answerOf(evaluation.Response(&x.response)); answer != nil || err != nil {
			return answer, err
		}
	}
	return nil, nil
}

// End implements Follower.
func (p *policed) End(x *Exchange) {
	p.context.end()
	for _, evaluation := range p.evaluations {
		evaluation.End(x.status)
	}
}

// answerOf is what becomes of an exchange by what a policy says.
func answerOf(v policy.Verdict, err error) (*Answer, error) {
	switch {
	case err != nil:
		return nil, discreetly(err)
	case v.Decision == policy.Close:
		return nil, ErrHangUp
	case v.Decision == policy.Respond:
		answer := &Answer{Status: v.Answer.Status, Header: v.Answer.Header, Body: v.Answer.Body}
		if v.Answer.Failure != nil {
			answer.Failure = discreet(v.Answer.Failure)
		}
		return answer, nil
	}
	return nil, nil
}

// policyOf chooses the first member to try, and gives its policy. Where nobody is there
// right now it is one of the route's: whoever comes is asked by obeys.
func (x *Exchange) policyOf() *policy.Program {
	if x.picked == nil {
		at := x.serving()
		m, err := x.choose(at)
		if err != nil && len(at.Policies) == 0 {
			return nil
		}
		if err != nil {
			return slices.MaxFunc(at.Policies, func(a, b *policy.Program) int { return int(a.Needs()) - int(b.Needs()) })
		}
		x.picked = m
	}
	return x.picked.Policy()
}

// obeys tells whether what the request was held to is the policy of m.
func (x *Exchange) obeys(m route.Member) bool {
	return m.Policy().Same(x.obeyed)
}

// judgeAnew has the request held to the policy of m, which nobody has asked yet. It may
// have come with a route that the exchange does not know.
func (x *Exchange) judgeAnew(m route.Member) error {
	if x.forwarded.to != nil {
		x.picked = nil
		return errMoved // from the public endpoint on
	}
	x.picked = m
	if now := x.routed(); now != nil {
		x.route = now
	}
	return errMoved
}

// endpointFacts is what a policy is told about its endpoint. m may be nil.
func (e *Edge) endpointFacts(r *route.Route, m route.Member) policy.Endpoint {
	facts := policy.Endpoint{
		URL: r.URL, Account: r.Account, Region: e.config.Region,
		Public: r.URL.Public(e.publicPort(r.URL.Scheme)),
	}
	if m != nil {
		facts.ID = m.ID()
	}
	return facts
}

// mostJudgements bounds what is kept of a connection: a proxy's may be many visitors'.
const mostJudgements = 64

// connected asks once for a connection, and for each client that a trusted proxy has on it,
// what a program says about it, and has e begin with what came of that. One that says how
// TLS ends was asked about whoever shook hands before a header came, see webPoliced; asked
// about a client of that one it must say the same, see endedAs.
func (v *visitor) connected(e *policy.Evaluation, program *policy.Program, client netip.Addr) (policy.Verdict, error) {
	if !program.Connects() {
		return policy.Verdict{}, nil
	}
	v.judging.Lock()
	defer v.judging.Unlock()
	for _, j := range v.judgements {
		if j.program == program && j.client == client {
			e.Resume(j.state)
			return j.verdict, j.err
		}
	}
	j := judgement{program: program, client: client}
	j.verdict, j.err = e.Connect()
	if isCode(j.err, postern.CodeInternalOffline) {
		return j.verdict, j.err // it may be online for the next request
	}
	j.state = e.State()
	e.Resume(j.state) // what e sets from now on is its own
	if len(v.judgements) == mostJudgements {
		v.judgements = slices.Delete(v.judgements, 0, 1) // who comes again is asked about again
	}
	v.judgements = append(v.judgements, j)
	return j.verdict, j.err
}

// judgement is what a program has said about a connection.
type judgement struct {
	program *policy.Program
	client  netip.Addr
	verdict policy.Verdict
	err     error
	state   policy.State
}

// visitorFacts is a visitor's connection, as policies see it.
type visitorFacts struct {
	v      *visitor
	client netip.Addr // behind trusted proxies
	state  *tls.ConnectionState
}

// Client implements policy.Connection.
func (f *visitorFacts) Client() netip.Addr { return f.client }

// Peer implements policy.Connection.
func (f *visitorFacts) Peer() netip.AddrPort { return f.v.client }

// Local implements policy.Connection.
func (f *visitorFacts) Local() netip.AddrPort { return f.v.local }

// Began implements policy.Connection.
func (f *visitorFacts) Began() time.Time { return f.v.since }

// TLS implements policy.Connection.
func (f *visitorFacts) TLS() *tls.ConnectionState {
	if f.state == nil && f.v.tls != nil {
		state := f.v.tls.ConnectionState()
		f.state = &state
	}
	return f.state
}

// ServerName implements policy.Connection.
func (f *visitorFacts) ServerName() string { return string(f.v.serverName) }

// ClientCertificate implements policy.Connection.
func (f *visitorFacts) ClientCertificate() *postern.ClientCertificate {
	if shown := f.v.certified.Load(); shown != nil {
		return shown.client
	}
	return nil
}

// Moved implements policy.Connection.
func (f *visitorFacts) Moved() (in, out int64) { return 0, 0 }

var (
	_ Subscriber        = (*policies)(nil)
	_ Follower          = (*policed)(nil)
	_ policy.Connection = (*visitorFacts)(nil)
	_ policy.Request    = (*Request)(nil)
	_ policy.Response   = (*Response)(nil)
)
