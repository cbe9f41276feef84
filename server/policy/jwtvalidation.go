package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/expression"
	"github.com/postern-dev/postern/server/policy/jwks"
)

// The bounds of what a validation may name.
const (
	mostTrusted = 50 // issuers, audiences
	mostTokens  = 10
	mostSources = 10
)

// jwtValidation lets those pass who send tokens of issuers that the policy trusts.
func jwtValidation() kind {
	return kind{
		name: "jwt-validation", phases: in(inRequest), authenticates: true,
		build: func(c *config) action {
			for _, name := range []string{"issuer", "http", "jws"} {
				c.require(name)
			}
			a := &validation{issuers: c.trusted("issuer", true), audiences: c.trusted("audience", false)}
			a.tokens = c.tokens()
			c.signatures(a)
			return a
		},
	}
}

// trusted reads an allow_list of values.
func (c *config) trusted(name string, required bool) (all []*expression.Template) {
	section := c.object(name)
	if section.node == nil {
		return nil
	}
	items := section.list("allow_list", mostTrusted)
	if len(items) == 0 {
		section.fault("allow_list", "it must have one value at least")
	}
	for i, item := range items {
		inner := section.inside(item, section.place("allow_list")+"["+strconv.Itoa(i)+"]")
		inner.require("value")
		if value := inner.template("value"); value != nil {
			all = append(all, value)
		}
		inner.done()
	}
	section.done()
	return all
}

// tokens reads where tokens are.
func (c *config) tokens() (all []tokenPlace) {
	section := c.object("http")
	if section.node == nil {
		return nil
	}
	items := section.list("tokens", mostTokens)
	if len(items) == 0 {
		section.fault("tokens", "it must name one token at least")
	}
	for i, item := range items {
		inner := section.inside(item, section.place("tokens")+"["+strconv.Itoa(i)+"]")
		for _, name := range []string{"type", "method", "name"} {
			inner.require(name)
		}
		inner.choice("type", "jwt", "jwt", "access_token", "id_token", "at+jwt", "it+jwt", "plain")
		place := tokenPlace{method: inner.choice("method", "header", "header", "body"), name: inner.template("name"), prefix: inner.template("prefix")}
		if place.method == "body" {
			c.compiler.program.needs |= NeedChange
		}
		inner.done()
		all = append(all, place)
	}
	section.done()
	return all
}

// signatures reads the algorithms and where keys are.
func (c *config) signatures(a *validation) {
	section := c.object("jws")
	if section.node == nil {
		return
	}
	section.require("keys")
	a.algorithms = section.texts("allowed_algorithms", len(jwks.Algorithms()))
	if len(a.algorithms) == 0 {
		section.fault("allowed_algorithms", "it must name one algorithm at least; there are: %s", strings.Join(jwks.Algorithms(), ", "))
	}
	for _, name := range a.algorithms {
		if !slices.Contains(jwks.Algorithms(), name) {
			section.fault("allowed_algorithms", "%q is not one that can be trusted with public keys; there are: %s", clip(name), strings.Join(jwks.Algorithms(), ", "))
		}
	}
	if keys := section.object("keys"); keys.node != nil {
		keys.require("sources")
		if sources := keys.object("sources"); sources.node != nil {
			a.sources = sources.keySources("additional_jkus")
			sources.done()
		}
		keys.done()
	}
	section.done()
}

// keySources reads the URLs of key sets.
func (c *config) keySources(name string) (all []*jwks.Source) {
	urls := c.texts(name, mostSources)
	if len(urls) == 0 {
		c.fault(name, "it must name one URL of a key set (JWKS) at least")
	}
	for _, url := range urls {
		switch err := outcall.CheckURL(url); {
		case err != nil:
			c.fault(name, "%s", postern.AsError(err).Message)
		case internal(url):
			c.fault(name, "this server fetches no keys from internal endpoints; use a public URL")
		default:
			all = append(all, jwks.NewSource(url))
		}
	}
	return all
}

type validation struct {
	issuers, audiences []*expression.Template
	tokens             []tokenPlace
	algorithms         []string
	sources            []*jwks.Source
}

// tokenPlace is where a token is sent.
type tokenPlace struct {
	method       string // "header" or "body"
	name, prefix *expression.Template
}

func (a *validation) run(e *Evaluation) (Verdict, error) {
	trusted, err := a.trust(e)
	if err != nil {
		return Verdict{}, err
	}
	body := &sentFields{e: e}
	results := make([]any, 0, len(a.tokens))
	var why *postern.Error
	for _, place := range a.tokens {
		text, result, err := place.find(e, body)
		if err != nil {
			return Verdict{}, err
		}
		results = append(results, result)
		if problem := trusted.check(e, text, result); problem != nil && why == nil {
			why = problem
		}
	}
	all := map[string]any{"tokens": results}
	e.result("jwt_validation", all)
	if why == nil {
		return Verdict{}, nil
	}
	all["error"] = fault(why)
	return Verdict{Decision: Respond, Answer: &Answer{
		Status: why.Code.Entry().Status, Failure: why, Header: map[string][]string{"Www-Authenticate": {"Bearer"}},
	}}, nil
}

// trust fills in whom the policy trusts.
func (a *validation) trust(e *Evaluation) (t trust, err error) {
	t.validation = a
	if t.issuers, err = e.fillAll(a.issuers); err != nil {
		return t, err
	}
	t.audiences, err = e.fillAll(a.audiences)
	return t, err
}

func (e *Evaluation) fillAll(from []*expression.Template) ([]string, error) {
	all := make([]string, len(from))
	for i, t := range from {
		var err error
		if all[i], err = e.fill(t); err != nil {
			return nil, err
		}
	}
	return all, nil
}
