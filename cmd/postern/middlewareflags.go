package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// middlewareFlags are what the server is asked to do to an endpoint's traffic. A server
// that lacks one of them refuses the endpoint.
type middlewareFlags struct {
	auth, basicAuth           []string // two names of one thing
	policyFile, policyURL     string
	allow, deny               []string
	circuitBreaker            float64
	compression, websocketTCP bool
	mutualTLSCAs              string
	mutualTLSMode             string
	mutualTLSStaleCRL         bool
	oauth, oidc               config.SignIn
	oauthSecret, oidcSecret   string
	request, response         config.HeaderEdit
	allowAgents, denyAgents   []string
	webhook, webhookSecret    string
}

func (f *middlewareFlags) registerCommon(flags *pflag.FlagSet) {
	flags.StringVar(&f.policyFile, "traffic-policy-file", "", "`file` with the traffic policy of the endpoint")
	flags.StringVar(&f.policyURL, "traffic-policy-url", "", "https `URL` of the traffic policy, which is fetched once")
	flags.StringVar(&f.policyFile, "policy-file", "", "the same as --traffic-policy-file")
	flags.StringSliceVar(&f.allow, "cidr-allow", nil, "let only these `addresses` in, e.g. 10.0.0.0/8; may be repeated")
	flags.StringSliceVar(&f.deny, "cidr-deny", nil, "keep these `addresses` out; may be repeated")
	hide(flags, "policy-file")
}

func (f *middlewareFlags) registerHTTP(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.basicAuth, "basic-auth", nil, "`user:password` that visitors must give; may be repeated")
	flags.StringArrayVar(&f.auth, "auth", nil, "the same")
	flags.Float64Var(&f.circuitBreaker, "circuit-breaker", 0, "refuse requests while this share of them fails at the service, e.g. 0.5")
	flags.BoolVar(&f.compression, "compression", false, "compress answers")
	flags.StringVar(&f.mutualTLSCAs, "mutual-tls-cas", "", "PEM `file` of who may vouch for visitors, or ids of uploaded authorities (ca_…)")
	f.registerMutualTLS(flags)
	f.registerSignIn(flags)
	flags.StringArrayVar(&f.request.Add, "request-header-add", nil, "`name:value` to add to requests; may be repeated")
	flags.StringArrayVar(&f.request.Remove, "request-header-remove", nil, "`name` of a header to take out of requests; may be repeated")
	flags.StringArrayVar(&f.response.Add, "response-header-add", nil, "`name:value` to add to answers; may be repeated")
	flags.StringArrayVar(&f.response.Remove, "response-header-remove", nil, "`name` of a header to take out of answers; may be repeated")
	flags.StringArrayVar(&f.allowAgents, "ua-filter-allow", nil, "regular `expression` of User-Agents to let in; may be repeated")
	flags.StringArrayVar(&f.denyAgents, "ua-filter-deny", nil, "regular `expression` of User-Agents to keep out; may be repeated")
	flags.StringVar(&f.webhook, "verify-webhook", "", "`provider` whose signature requests must carry, e.g. github")
	flags.StringVar(&f.webhookSecret, "verify-webhook-secret", "", "the `secret` of that signature")
	flags.BoolVar(&f.websocketTCP, "websocket-tcp-converter", false, "give the service plain TCP of what visitors send in WebSockets")
	hide(flags, "auth")
}

func (f *middlewareFlags) registerSignIn(flags *pflag.FlagSet) {
	flags.StringVar(&f.oauth.Provider, "oauth", "", "`provider` with which visitors sign in, e.g. google")
	flags.StringSliceVar(&f.oauth.AllowDomains, "oauth-allow-domain", nil, "let in who has an address at this `domain`; may be repeated")
	flags.StringSliceVar(&f.oauth.AllowEmails, "oauth-allow-email", nil, "let this `address` in; may be repeated")
	flags.StringVar(&f.oauth.ClientID, "oauth-client-id", "", "`id` of your own application at the provider")
	flags.StringVar(&f.oauthSecret, "oauth-client-secret", "", "its `secret`")
	flags.StringSliceVar(&f.oauth.Scopes, "oauth-scope", nil, "`scope` to ask for; may be repeated")
	flags.StringVar(&f.oidc.Issuer, "oidc", "", "`URL` of the OpenID Connect issuer with which visitors sign in")
	flags.StringVar(&f.oidc.ClientID, "oidc-client-id", "", "`id` of your application there")
	flags.StringVar(&f.oidcSecret, "oidc-client-secret", "", "its `secret`")
	flags.StringSliceVar(&f.oidc.Scopes, "oidc-scope", nil, "`scope` to ask for; may be repeated")
}

func (f *middlewareFlags) registerTLS(flags *pflag.FlagSet) {
	flags.StringVar(&f.mutualTLSCAs, "mutual-tls-cas", "", "PEM `file` of who may vouch for visitors, where TLS ends at the agent or the edge")
	flags.StringVar(&f.mutualTLSCAs, "client-cas", "", "the same")
	hide(flags, "client-cas")
	f.registerMutualTLS(flags)
}

func (f *middlewareFlags) registerMutualTLS(flags *pflag.FlagSet) {
	flags.StringVar(&f.mutualTLSMode, "mutual-tls-mode", "", "what visitors must show: `MODE` is request, require, verify-if-given or require-and-verify (default require-and-verify)")
	flags.BoolVar(&f.mutualTLSStaleCRL, "mutual-tls-stale-crl", false, "go on with a revocation list that is past its next update, instead of refusing everybody")
}

// middleware is what the flags ask for.
func (f *middlewareFlags) middleware(ctx context.Context) (config.Middleware, error) {
	m := config.Middleware{
		BasicAuth:  unquoted(slices.Concat(f.auth, f.basicAuth)),
		AllowCIDRs: f.allow, DenyCIDRs: f.deny,
		CircuitBreaker: f.circuitBreaker, Compression: f.compression, WebSocketTCP: f.websocketTCP,
		MutualTLSCAs: f.mutualTLSCAs, MutualTLSMode: f.mutualTLSMode, MutualTLSStaleCRL: f.mutualTLSStaleCRL,
		RequestHeaders: f.request, ResponseHeaders: f.response,
		AllowAgents: f.allowAgents, DenyAgents: f.denyAgents,
		WebhookProvider: f.webhook, WebhookSecret: postern.Secret(f.webhookSecret),
		TrafficPolicyFile: f.policyFile,
	}
	var err error
	if m.OAuth, err = signIn(f.oauth, f.oauthSecret, f.oauth.Provider, "--oauth"); err != nil {
		return config.Middleware{}, err
	}
	if m.OIDC, err = signIn(f.oidc, f.oidcSecret, f.oidc.Issuer, "--oidc"); err != nil {
		return config.Middleware{}, err
	}
	switch {
	case f.webhook == "" && f.webhookSecret != "":
		return config.Middleware{}, postern.Errorf(postern.CodeFlagInvalid, "--verify-webhook-secret needs --verify-webhook PROVIDER")
	case f.policyFile != "" && f.policyURL != "":
		return config.Middleware{}, postern.Errorf(postern.CodeFlagInvalid, "Give --traffic-policy-file or --traffic-policy-url, not both")
	case f.policyURL != "":
		m.TrafficPolicy, err = config.FetchPolicy(ctx, http.DefaultTransport, f.policyURL)
	}
	return m, err
}

// signIn is nil where nothing was asked for. A part without the whole would leave the
// endpoint open.
func signIn(s config.SignIn, secret, who, flag string) (*config.SignIn, error) {
	s.ClientSecret = postern.Secret(secret)
	if who != "" {
		return &s, nil
	}
	if s.ClientID != "" || secret != "" || len(s.AllowDomains)+len(s.AllowEmails)+len(s.Scopes) > 0 {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the flags that begin with %s- need %s itself, which names who signs visitors in", flag, flag)
	}
	return nil, nil
}

// unquoted takes the quotation marks off that a shell which knows them not, or a list
// in a compose file, leaves around a credential.
func unquoted(pairs []string) []string {
	for i, pair := range pairs {
		if n := len(pair); n > 1 && (pair[0] == '"' || pair[0] == '\'') && pair[n-1] == pair[0] {
			pairs[i] = pair[1 : n-1]
		}
	}
	return pairs
}
