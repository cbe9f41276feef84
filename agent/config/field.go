package config

import (
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
)

// The functions here make readers of single keys of an endpoint.

type draftKey = func(r *reader, d *draft, e entry) error

// text makes a reader of a single value into a field.
func text(field func(*draft) *string) draftKey {
	return func(r *reader, d *draft, e entry) (err error) {
		*field(d), err = r.text(e)
		return err
	}
}

func items(field func(*draft) *[]string) draftKey {
	return func(r *reader, d *draft, e entry) (err error) {
		*field(d), err = r.list(e)
		return err
	}
}

func flag(field func(*draft) *bool) draftKey {
	return func(r *reader, d *draft, e entry) (err error) {
		*field(d), err = r.flag(e)
		return err
	}
}

func section(table map[string]draftKey) draftKey {
	return func(r *reader, d *draft, e entry) error { return r.section(d, e, table) }
}

// parsed reads a single value through one of the Parse functions.
func parsed[T any](r *reader, e entry, parse func(string) (T, error), set func(T)) error {
	text, err := r.text(e)
	if err != nil {
		return err
	}
	value, err := parse(text)
	if err != nil {
		return r.at(e.value, "%s: %s", e.path, postern.AsError(err).Text())
	}
	set(value)
	return nil
}

func hostHeader(r *reader, d *draft, e entry) error {
	text, err := r.text(e)
	if text != "preserve" {
		d.HostHeader = text
	}
	return err
}

func proxyProtocol(r *reader, d *draft, e entry) error {
	return parsed(r, e, ParseProxyProtocol, func(v int) { d.ProxyProtocol = v })
}

func upstreamProtocol(r *reader, d *draft, e entry) error {
	return parsed(r, e, ParseProtocol, func(p postern.UpstreamProtocol) { d.Protocol = p })
}

func terminateAt(r *reader, d *draft, e entry) error {
	return parsed(r, e, ParseTermination, func(t Termination) { d.ends = &t })
}

func bindTLS(r *reader, d *draft, e entry) error {
	text, err := r.text(e)
	if err != nil {
		return err
	}
	if d.schemes, err = ParseBindTLS(text); err != nil {
		return r.at(e.value, "HTTP tunnel '%s' specifies invalid 'bind_tls': %s; it is one of true, false, both", d.Name, clip(text))
	}
	return nil
}

func schemes(r *reader, d *draft, e entry) error {
	texts, err := r.list(e)
	if err != nil {
		return err
	}
	if d.schemes, err = ParseSchemes(texts); err != nil {
		return r.at(e.value, "%s: %s", e.path, postern.AsError(err).Text())
	}
	return nil
}

func pooling(r *reader, d *draft, e entry) (err error) {
	d.Pooling, err = r.flag(e)
	return err
}

func inspect(r *reader, d *draft, e entry) error {
	on, err := r.flag(e)
	d.NoInspect = !on
	return err
}

func persist(r *reader, d *draft, e entry) (err error) {
	d.Persist, err = r.flag(e)
	return err
}

func ttl(r *reader, d *draft, e entry) error {
	return parsed(r, e, ParseDuration, func(t time.Duration) { d.TTL = t })
}

func labels(r *reader, _ *draft, e entry) error {
	return r.at(e.node, "labelled tunnels belong to edges, which Postern does not have; give the tunnel a url or domain instead of labels")
}

func circuitBreaker(r *reader, d *draft, e entry) error {
	text, err := r.text(e)
	if err != nil {
		return err
	}
	if d.CircuitBreaker, err = strconv.ParseFloat(text, 64); err != nil {
		return r.at(e.value, "%s: %q is not a number between 0 and 1", e.path, clip(text))
	}
	return nil
}

var ipRestrictionKeys = map[string]draftKey{
	"allow_cidrs": items(func(d *draft) *[]string { return &d.AllowCIDRs }),
	"deny_cidrs":  items(func(d *draft) *[]string { return &d.DenyCIDRs }),
}

var userAgentKeys = map[string]draftKey{
	"allow": items(func(d *draft) *[]string { return &d.AllowAgents }),
	"deny":  items(func(d *draft) *[]string { return &d.DenyAgents }),
}

var webhookKeys = map[string]draftKey{
	"provider": text(func(d *draft) *string { return &d.WebhookProvider }),
	"secret":   text(func(d *draft) *string { return (*string)(&d.WebhookSecret) }),
}

func headers(field func(*draft) *HeaderEdit) draftKey {
	return section(map[string]draftKey{
		"add":    items(func(d *draft) *[]string { return &field(d).Add }),
		"remove": items(func(d *draft) *[]string { return &field(d).Remove }),
	})
}

func signIn(field func(*draft) **SignIn) draftKey {
	s := func(d *draft) *SignIn { return *field(d) }
	table := map[string]draftKey{
		"provider":      text(func(d *draft) *string { return &s(d).Provider }),
		"issuer_url":    text(func(d *draft) *string { return &s(d).Issuer }),
		"client_id":     text(func(d *draft) *string { return &s(d).ClientID }),
		"client_secret": text(func(d *draft) *string { return (*string)(&s(d).ClientSecret) }),
		"allow_emails":  items(func(d *draft) *[]string { return &s(d).AllowEmails }),
		"allow_domains": items(func(d *draft) *[]string { return &s(d).AllowDomains }),
		"scopes":        items(func(d *draft) *[]string { return &s(d).Scopes }),
	}
	return func(r *reader, d *draft, e entry) error {
		*field(d) = &SignIn{}
		return r.section(d, e, table)
	}
}

// trafficPolicy keeps a policy as the text that the server compiles: what was written
// as text, or the YAML of what was written as a mapping.
func trafficPolicy(r *reader, d *draft, e entry) error {
	if text, single := scalar(e.value); single {
		d.TrafficPolicy = text
		return nil
	}
	var value any
	if err := yaml.NodeToValue(e.value, &value); err != nil {
		return r.at(e.value, "%s: %s", e.path, clip(err.Error()))
	}
	policy, err := yaml.MarshalWithOptions(value, yaml.JSON())
	if err != nil {
		return r.at(e.value, "%s: %s", e.path, clip(err.Error()))
	}
	d.TrafficPolicy = string(policy)
	return nil
}
