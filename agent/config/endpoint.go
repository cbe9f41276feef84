package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Termination says who ends a visitor's TLS on a tls endpoint.
type Termination string

// The terminations; the zero value leaves TLS to the service.
const (
	AtUpstream Termination = ""
	AtEdge     Termination = "edge"
	AtAgent    Termination = "agent"
)

// RewriteHost as a HostHeader means the service's own address.
const RewriteHost = "rewrite"

// Endpoint is one endpoint as a file or a command line describes it.
type Endpoint struct {
	Name        string
	Description string
	Metadata    string
	URL         postern.URLRequest
	Also        []postern.Scheme // further schemes for the same host
	Subdomain   string           // a label below the server's domain, instead of URL's host
	Upstream    string           // address of the service, in any form that agents know
	Protocol    postern.UpstreamProtocol
	// ProxyProtocol is the version of the PROXY header that the service wants: 0
	// (none), 1 or 2.
	ProxyProtocol int
	HostHeader    string // "" keeps the visitor's; RewriteHost; or the value itself
	Pooling       bool
	Bindings      []string
	Termination   Termination
	Certificate   string // path or PEM, for TLS that ends at the agent or the edge
	Key           string // path or PEM
	// PassphraseFile holds the passphrase of an encrypted key; "": it is not encrypted.
	PassphraseFile string
	// Revocations is a path or PEM: revocation lists of MutualTLSCAs.
	Revocations string
	VerifyTLS   bool   // check the certificate of a service behind TLS
	VerifyCAs   string // PEM file of who may vouch for the service; "" is the system's

	Middleware
	NoInspect bool          // its requests are not captured
	TTL       time.Duration // how long it stays online; 0: as long as the agent
	Persist   bool          // one that the local API started is there again after a restart
	Region    string        // of old files; servers decide

	Where string // "file:line:column" for messages; "" on a command line
	Dir   string // of the configuration file: where its paths may begin; "" on a command line
	// Problem is why the definition cannot work. It is an error only for who wants this
	// endpoint: others of the same file do not suffer.
	Problem *postern.Error
}

// Validate checks what no single value shows. Errors are CodeConfigInvalid and
// start with Where.
func (e *Endpoint) Validate() error {
	switch {
	case e.Name == "":
		return e.invalid("the endpoint has no name")
	case e.Upstream == "":
		return e.invalid("Tunnel '%s' must specify 'addr' to tunnel to", e.Name)
	case isPlaceholder(e.Upstream):
		return e.invalid("tunnel '%s': addr is a placeholder; write the port or address of your service", e.Name)
	case (e.Certificate == "") != (e.Key == ""):
		return e.invalid("TLS tunnel '%s' must supply both 'crt' and 'key' or neither", e.Name)
	case e.PassphraseFile != "" && e.Key == "":
		return e.invalid("tunnel '%s': key_passphrase_file is for a key that is given with 'crt' and 'key'", e.Name)
	case e.Termination == AtUpstream && e.Certificate != "":
		return e.invalid("tunnel '%s' leaves TLS to the service, so 'crt' and 'key' have no use; remove them or set terminate_at", e.Name)
	case e.URL.Scheme != postern.TLS && e.Termination != AtUpstream:
		return e.invalid("tunnel '%s': only tls endpoints end TLS elsewhere than at the server", e.Name)
	case e.URL.Host != "" && e.Subdomain != "":
		return e.invalid("Tunnel '%s' must not specify both hostname and subdomain.", e.Name)
	case !e.web() && (e.HostHeader != "" || e.Protocol != postern.HTTP1 || len(e.Also) > 0):
		return e.invalid("tunnel '%s': host headers and HTTP versions are for http endpoints", e.Name)
	case e.URL.Scheme == postern.UDP && e.ProxyProtocol != 0:
		return e.invalid("tunnel '%s': a datagram has no beginning of a connection for a PROXY header to stand before; remove proxy_proto", e.Name)
	case e.URL.Scheme == postern.UDP && (e.VerifyTLS || e.VerifyCAs != ""):
		return e.invalid("tunnel '%s': what is inside of datagrams is between visitors and the service; remove upstream_tls_verify", e.Name)
	}
	if err := e.validateMutualTLS(); err != nil {
		return err
	}
	return e.validateMiddleware()
}

// validateMiddleware refuses what would let everybody in, or nobody.
func (e *Endpoint) validateMiddleware() error {
	for _, pair := range e.BasicAuth {
		user, password, found := strings.Cut(pair, ":")
		switch {
		case isPlaceholder(user) || isPlaceholder(password):
			return e.invalid("tunnel '%s': the credential is a placeholder; write user:password", e.Name)
		case !found || user == "" || password == "":
			return e.invalid("tunnel '%s': a credential is user:password", e.Name)
		}
	}
	for _, text := range append(slices.Clone(e.AllowCIDRs), e.DenyCIDRs...) {
		if _, err := netip.ParsePrefix(text); err != nil {
			if _, err := netip.ParseAddr(text); err != nil {
				return e.invalid("tunnel '%s': %q is not an address or a range such as 10.0.0.0/8", e.Name, clip(text))
			}
		}
	}
	switch {
	case !e.web() && len(e.BasicAuth) > 0:
		return e.invalid("tunnel '%s': a user and a password are for http endpoints", e.Name)
	case e.CircuitBreaker < 0 || e.CircuitBreaker > 1:
		return e.invalid("tunnel '%s': circuit_breaker is a share between 0 and 1", e.Name)
	case !e.web() && (len(e.ErrorPages) > 0 || !e.Maintenance.Empty()):
		return e.invalid("tunnel '%s': error_pages and maintenance are for http endpoints", e.Name)
	case e.TrafficPolicy != "" && e.TrafficPolicyFile != "":
		return e.invalid("tunnel '%s': give traffic_policy or traffic_policy_file, not both", e.Name)
	}
	return nil
}

func (e *Endpoint) web() bool { return e.URL.Scheme == postern.HTTP || e.URL.Scheme == postern.HTTPS }

func (e *Endpoint) invalid(format string, args ...any) *postern.Error {
	problem := postern.Errorf(postern.CodeConfigInvalid, format, args...)
	if e.Where != "" {
		problem.Message = e.Where + ": " + problem.Message
	}
	return problem
}

// ParseProtocol reads http1 or http2.
func ParseProtocol(text string) (postern.UpstreamProtocol, error) {
	switch strings.ToLower(text) {
	case "", "http1":
		return postern.HTTP1, nil
	case "http2":
		return postern.HTTP2, nil
	}
	return "", postern.Errorf(postern.CodeConfigInvalid, "the protocol %q is not one of http1, http2", clip(text))
}

// ParseProxyProtocol reads 1 or 2; "" and 0 are none.
func ParseProxyProtocol(text string) (int, error) {
	switch text {
	case "", "0":
		return 0, nil
	case "1":
		return 1, nil
	case "2":
		return 2, nil
	}
	return 0, postern.Errorf(postern.CodeConfigInvalid, "the PROXY protocol version %q is not 1 or 2", clip(text))
}

// ParseTermination reads upstream, edge or agent.
func ParseTermination(text string) (Termination, error) {
	switch strings.ToLower(text) {
	case "", "upstream":
		return AtUpstream, nil
	case "edge":
		return AtEdge, nil
	case "agent":
		return AtAgent, nil
	}
	return "", postern.Errorf(postern.CodeConfigInvalid, "terminate_at %q is not one of edge, agent, upstream", clip(text))
}

// ParseBindTLS reads which endpoints an http tunnel has: true is https, false is
// http, both is both, https first.
func ParseBindTLS(text string) ([]postern.Scheme, error) {
	switch strings.ToLower(text) {
	case "true":
		return []postern.Scheme{postern.HTTPS}, nil
	case "false":
		return []postern.Scheme{postern.HTTP}, nil
	case "both":
		return []postern.Scheme{postern.HTTPS, postern.HTTP}, nil
	}
	return nil, postern.Errorf(postern.CodeConfigInvalid, "bind_tls %q is not one of true, false, both", clip(text))
}

// ParseSchemes reads the newer form of the same, a list of http and https; the
// order is always https first.
func ParseSchemes(texts []string) ([]postern.Scheme, error) {
	var plain, secure bool
	for _, text := range texts {
		switch postern.Scheme(strings.ToLower(strings.TrimSpace(text))) {
		case postern.HTTP:
			plain = true
		case postern.HTTPS:
			secure = true
		default:
			return nil, postern.Errorf(postern.CodeConfigInvalid, "the scheme %q is not one of http, https", clip(text))
		}
	}
	switch {
	case plain && secure:
		return ParseBindTLS("both")
	case plain:
		return ParseBindTLS("false")
	case secure:
		return ParseBindTLS("true")
	}
	return nil, postern.Errorf(postern.CodeConfigInvalid, "the list of schemes is empty")
}

// SetSchemes makes the endpoint's URL one of the first scheme, with the others
// beside it.
func (e *Endpoint) SetSchemes(schemes []postern.Scheme) {
	e.URL.Scheme, e.Also = schemes[0], schemes[1:]
}

func clip(text string) string { return postern.Clip(text, 80) }
