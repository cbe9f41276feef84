package policy

import (
	"slices"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
	"github.com/postern-dev/postern/server/gate"
	"github.com/postern-dev/postern/server/policy/expression"
)

// basicAuth asks visitors for a name and a password.
func basicAuth() kind {
	return kind{
		name: "basic-auth", phases: inRequest, authenticates: true,
		build: func(c *config) action {
			a := &gated{
				config: gate.Config{
					Realm:          c.text("realm", gate.DefaultRealm),
					GrantAddress:   c.duration("grant_address", 0, gate.ShortestGrant, gate.LongestGrant),
					StopPreflights: c.choice("preflight", "app", "app", "gate") == "gate",
				},
				enforce: c.boolean("enforce", true),
				known:   ledger.New[string, *gate.Credentials](mostCredentialSets),
			}
			if a.config.GrantAddress != 0 {
				c.warn("grant_address", "everybody behind an address is let in once somebody has signed in from there")
			}
			parse := gate.ParseCredential
			if c.boolean("short_passwords", false) {
				parse = parseShort
			}
			a.sources = slices.Concat(c.credentials("credentials", parse), c.credentials("hashed_credentials", gate.ParseHashed))
			if n := c.size("credentials") + c.size("hashed_credentials"); n == 0 || n > gate.MostCredentials {
				c.fault("credentials", "there are %d, 1 to %d are needed, each as user:password", n, gate.MostCredentials)
			}
			if _, err := gate.New(a.config); err != nil {
				c.fault("realm", "%s", postern.AsError(err).Text())
			}
			a.fixed = fixedCredentials(a.sources)
			return a
		},
	}
}

// parseShort takes a credential with a short password, too.
func parseShort(text postern.Secret) (gate.Credential, error) {
	credential, _, err := gate.ParseOldCredential(text)
	return credential, err
}

// size is how many items a list was written with.
func (c *config) size(name string) int {
	if n := c.node.get(name); n != nil {
		return len(n.items)
	}
	return 0
}

// mostCredentialSets bounds how many sets of credentials an action remembers whose
// passwords come from elsewhere: one, and some more while they change.
const mostCredentialSets = 8

// credentialSource is where a credential comes from.
type credentialSource struct {
	text  *expression.Template
	parse func(postern.Secret) (gate.Credential, error)
}

// credentials reads a list of them. Those that are known now are looked at now.
func (c *config) credentials(name string, parse func(postern.Secret) (gate.Credential, error)) (all []credentialSource) {
	for _, n := range c.list(name, gate.MostCredentials) {
		text := c.templateOf(name, n)
		if text == nil {
			continue
		}
		if constant, known := text.Constant(); known {
			if _, err := parse(postern.Secret(constant)); err != nil {
				c.compiler.report(postern.CodePolicyValueInvalid, n, c.place(name), "%s", postern.AsError(err).Text())
				continue
			}
			if _, warning, _ := gate.ParseOldCredential(postern.Secret(constant)); warning != "" {
				c.compiler.warn(n, c.place(name), "%s", warning)
			}
		}
		all = append(all, credentialSource{text, parse})
	}
	return all
}

// fixedCredentials are those that the policy's text has; nil where it does not have all.
func fixedCredentials(sources []credentialSource) *gate.Credentials {
	texts := make([]string, len(sources))
	for i, source := range sources {
		constant := false
		if texts[i], constant = source.text.Constant(); !constant {
			return nil
		}
	}
	made, err := newCredentials(sources, texts)
	if err != nil {
		return nil // which was reported
	}
	return made
}

// gated is the action. Its gate is that of the endpoint whose policy it is part of.
type gated struct {
	config  gate.Config
	enforce bool
	sources []credentialSource
	fixed   *gate.Credentials // nil: they are worked out for each request

	once  sync.Once
	gate  *gate.Gate
	wrong error

	mu    sync.Mutex
	known *ledger.Ledger[string, *gate.Credentials]
}

func (a *gated) run(e *Evaluation) (Verdict, error) {
	a.once.Do(func() { a.open(e) })
	if a.wrong != nil {
		return Verdict{}, a.wrong
	}
	credentials, err := a.credentials(e)
	if err != nil {
		return Verdict{}, err
	}
	r := e.request
	outcome := a.gate.Check(e.subject.Context, credentials, gate.Request{
		Method: r.Method(), Secure: e.subject.Scheme == "https", Header: gateHeader(r), HasBody: r.Length() != 0,
		Client: e.subject.Connection.Client(), Nameless: e.subject.Nameless,
	})
	outcome.Strip(r)
	result := map[string]any{"credentials": map[string]any{
		"presented": outcome.Presented, "username": outcome.Username, "authorized": outcome.Authorized,
	}}
	e.result("basic_auth", result)
	if outcome.SetCookie != "" {
		e.atAnswer("Set-Cookie", outcome.SetCookie)
	}
	refusal := outcome.Refusal
	if refusal == nil {
		return Verdict{}, nil
	}
	result["error"] = map[string]any{"code": string(refusal.Failure.Code), "message": refusal.Failure.Text()}
	if !a.enforce && refusal.Failure.Code != postern.CodeRequestInvalid {
		return Verdict{}, nil
	}
	return Verdict{Decision: Respond, Answer: &Answer{Status: refusal.Failure.Code.Entry().Status, Header: refusal.Header, Failure: refusal.Failure}}, nil
}

// gateHeader is what a gate sees of a request: what rules before it have left of what goes
// on, and of what does not, what the visitor sent.
func gateHeader(r Request) func(name string) []string {
	return func(name string) []string {
		if name == gate.HeaderName || name == "Upgrade" {
			return r.Sent(name)
		}
		return r.Values(name)
	}
}

// open makes the gate, for the first visitor.
func (a *gated) open(e *Evaluation) {
	c := a.config
	c.Scope = string(e.subject.Endpoint.Account) + " " + e.subject.Endpoint.URL.String()
	c.Signer, c.Passwords = e.world.Signer, e.world.Passwords
	c.Now = e.world.Now
	a.gate, a.wrong = gate.New(c)
}

// credentials are those of this moment: secrets may change.
func (a *gated) credentials(e *Evaluation) (*gate.Credentials, error) {
	if a.fixed != nil {
		return a.fixed, nil
	}
	texts := make([]string, len(a.sources))
	for i, source := range a.sources {
		text, err := e.fill(source.text)
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	key := strings.Join(texts, "\n") // there is none in a credential
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, found := a.known.Get(key); found {
		return known, nil
	}
	made, err := newCredentials(a.sources, texts)
	if err != nil {
		return nil, err
	}
	a.known.Put(key, made)
	return made, nil
}

func newCredentials(sources []credentialSource, texts []string) (*gate.Credentials, error) {
	var all []gate.Credential
	for i, source := range sources {
		credential, err := source.parse(postern.Secret(texts[i]))
		if err != nil {
			return nil, postern.Errorf(postern.CodePolicyFailed, "a credential cannot be used").Because(err)
		}
		all = append(all, credential)
	}
	return gate.NewCredentials(all)
}
