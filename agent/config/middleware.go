package config

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/postern-dev/postern"
)

// Middleware is what the server is asked to do to an endpoint's traffic before it
// reaches the agent. A server that cannot do something refuses the endpoint:
// nothing of this is dropped on the way.
type Middleware struct {
	BasicAuth         []string // "user:password"
	AllowCIDRs        []string
	DenyCIDRs         []string
	CircuitBreaker    float64 // the share of failures at which requests are refused, in (0, 1); 0: none
	Compression       bool
	MutualTLSCAs      string // path, PEM or ids (ca_…, by commas) of who may vouch for visitors
	MutualTLSMode     string // what they must show, see postern.ClientCertificateMode
	MutualTLSStaleCRL bool   // a revocation list is good past its next update
	OAuth             *SignIn
	OIDC              *SignIn
	RequestHeaders    HeaderEdit
	ResponseHeaders   HeaderEdit
	AllowAgents       []string // regular expressions for User-Agent
	DenyAgents        []string
	WebhookProvider   string
	WebhookSecret     postern.Secret
	WebSocketTCP      bool
	TrafficPolicy     string // YAML or JSON
	TrafficPolicyFile string
	// ErrorPages and Maintenance are of http and https endpoints.
	ErrorPages  []ErrorPage
	Maintenance postern.Maintenance
}

// SignIn is OAuth or OpenID Connect.
type SignIn struct {
	Provider     string // of OAuth
	Issuer       string // of OpenID Connect
	ClientID     string
	ClientSecret postern.Secret
	AllowEmails  []string
	AllowDomains []string
	Scopes       []string
}

// HeaderEdit changes headers: "Name: value" lines to add, names to remove.
type HeaderEdit struct{ Add, Remove []string }

// Options is the middleware as ngrok's agents send it to their server, by the name
// of the option, and ErrorPages, which is ours; files are read now. What is asked of
// visitors' certificates is none of them, see MutualTLS. Errors are CodeFileUnreadable and
// CodeConfigInvalid.
func (e *Endpoint) Options() (map[string]json.RawMessage, error) {
	m, o := &e.Middleware, options{}
	o.basicAuth(m.BasicAuth)
	if len(m.AllowCIDRs)+len(m.DenyCIDRs) > 0 {
		o.set("IPRestriction", map[string]any{"allow_cidrs": m.AllowCIDRs, "deny_cidrs": m.DenyCIDRs})
	}
	if m.CircuitBreaker > 0 {
		o.set("CircuitBreaker", map[string]any{"error_threshold": m.CircuitBreaker})
	}
	if m.Compression {
		o.set("Compression", map[string]any{})
	}
	if m.WebSocketTCP {
		o.set("WebsocketTCPConverter", map[string]any{})
	}
	o.signIn("OAuth", m.OAuth)
	o.signIn("OIDC", m.OIDC)
	o.headers("RequestHeaders", m.RequestHeaders)
	o.headers("ResponseHeaders", m.ResponseHeaders)
	if len(m.AllowAgents)+len(m.DenyAgents) > 0 {
		o.set("UserAgentFilter", map[string]any{"allow": m.AllowAgents, "deny": m.DenyAgents})
	}
	if m.WebhookProvider != "" {
		o.set("WebhookVerification", map[string]any{"provider": m.WebhookProvider, "secret": m.WebhookSecret.Reveal()})
	}
	policy, err := m.policy()
	if policy != "" {
		o.set("TrafficPolicy", policy)
	}
	if err != nil {
		return o, err
	}
	pages, err := e.asErrorPages()
	if !pages.Empty() {
		o.set("ErrorPages", pages)
	}
	return o, err
}

// Guards tells whether anything here keeps visitors out: an endpoint that loses it
// is open.
func (m *Middleware) Guards() bool {
	return len(m.BasicAuth) > 0 || len(m.AllowCIDRs)+len(m.DenyCIDRs) > 0 || m.asksForCertificates() || m.OAuth != nil || m.OIDC != nil ||
		len(m.AllowAgents)+len(m.DenyAgents) > 0 || m.WebhookProvider != "" || m.TrafficPolicy != "" || m.TrafficPolicyFile != "" ||
		m.Maintenance.Enabled
}

func (m *Middleware) policy() (string, error) {
	if m.TrafficPolicyFile == "" {
		return m.TrafficPolicy, nil
	}
	text, err := os.ReadFile(m.TrafficPolicyFile)
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the traffic policy cannot be read: %v", err).Because(err)
	}
	return string(text), nil
}

type options map[string]json.RawMessage

func (o options) set(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil { // cannot happen: strings, lists and maps of them
		raw = json.RawMessage(`"?"`)
	}
	o[name] = raw
}

func (o options) basicAuth(pairs []string) {
	if len(pairs) == 0 {
		return
	}
	credentials := make([]map[string]string, 0, len(pairs))
	for _, pair := range pairs {
		user, password, _ := strings.Cut(pair, ":")
		credentials = append(credentials, map[string]string{"username": user, "cleartext_password": password})
	}
	o.set("BasicAuth", map[string]any{"credentials": credentials})
}

func (o options) signIn(name string, s *SignIn) {
	if s == nil {
		return
	}
	o.set(name, map[string]any{
		"provider": s.Provider, "issuer_url": s.Issuer, "client_id": s.ClientID, "client_secret": s.ClientSecret.Reveal(),
		"allow_emails": s.AllowEmails, "allow_domains": s.AllowDomains, "scopes": s.Scopes,
	})
}

func (o options) headers(name string, edit HeaderEdit) {
	if len(edit.Add)+len(edit.Remove) > 0 {
		o.set(name, map[string]any{"add": edit.Add, "remove": edit.Remove})
	}
}
