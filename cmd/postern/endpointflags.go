package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// endpointFlags describe one endpoint on a command line. Which of them a command
// has depends on its protocol.
type endpointFlags struct {
	name, description, metadata  string
	url, hostname, domain        string
	subdomain, remoteAddr        string
	bindTLS                      string
	schemes                      []string
	hostHeader, protocol         string
	proxyProtocol                string
	bindings                     []string
	pooling, inspect             bool
	ttl                          time.Duration
	verifyTLS                    bool
	verifyCAs                    string
	certificate, key, terminates string
	passphraseFile               string
	revocations                  string
	middlewareFlags
}

func (f *endpointFlags) registerCommon(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "command_line", "name of the endpoint; with the authtoken it gives an assigned URL that stays the same")
	flags.StringVar(&f.description, "description", "", "what the endpoint is for")
	flags.StringVar(&f.metadata, "metadata", "", "opaque text for the server's operator")
	flags.StringVar(&f.proxyProtocol, "proxy-proto", "", "version of the PROXY protocol header that the service gets: 1 or 2")
	flags.StringVar(&f.proxyProtocol, "upstream-proxy-protocol", "", "the same")
	flags.StringArrayVar(&f.bindings, "binding", nil, "who reaches the endpoint: public (everybody) or internal (other endpoints of the account, by a name below .internal)")
	flags.BoolVar(&f.pooling, "pooling-enabled", false, "share the URL, and its load, with other endpoints that have this set")
	flags.BoolVar(&f.inspect, "inspect", true, "keep requests for the local API to show and replay")
	flags.DurationVar(&f.ttl, "ttl", 0, "take the endpoint offline after this time, e.g. 8h (default: never)")
	flags.BoolVar(&f.verifyTLS, "upstream-tls-verify", false, "check the certificate of a service behind TLS")
	flags.StringVar(&f.verifyCAs, "upstream-tls-verify-cas", "", "PEM `file` of who may vouch for the service")
	flags.BoolVar(&f.verifyTLS, "verify-upstream-tls", false, "the same as --upstream-tls-verify")
	flags.StringVar(&f.verifyCAs, "upstream-ca-path", "", "the same as --upstream-tls-verify-cas")
	hide(flags, "upstream-proxy-protocol", "verify-upstream-tls", "upstream-ca-path")
	f.middlewareFlags.registerCommon(flags)
}

// registerNames adds the ways to ask for a host name; all but --url are ngrok's
// older ones.
func (f *endpointFlags) registerNames(flags *pflag.FlagSet) {
	flags.StringVar(&f.hostname, "hostname", "", "host name of the endpoint")
	flags.StringVar(&f.domain, "domain", "", "host name of the endpoint")
	flags.StringVar(&f.subdomain, "subdomain", "", "label below the server's domain")
	hide(flags, "hostname", "domain")
}

func (f *endpointFlags) registerHTTP(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "URL to serve, e.g. https://app.example.com (default: one is assigned)")
	flags.StringVar(&f.bindTLS, "bind-tls", "", "true: https only; false: http only; both (default both, unless a configuration file of version 2 or 3 is read)")
	flags.StringSliceVar(&f.schemes, "scheme", nil, "http, https or both, separated by a comma")
	flags.StringSliceVar(&f.schemes, "schemes", nil, "the same")
	flags.StringVar(&f.hostHeader, "host-header", "", "Host `header` that the service gets: rewrite (its own address), preserve, or a value")
	flags.StringVar(&f.protocol, "upstream-protocol", "", "HTTP version that the service speaks: http1 or http2")
	flags.StringVar(&f.protocol, "app-protocol", "", "the same")
	hide(flags, "app-protocol", "schemes")
	flags.StringVar(&f.revocations, "mutual-tls-crl", "", "`file` of the authorities' revocation lists, PEM or DER")
	f.middlewareFlags.registerHTTP(flags)
}

func (f *endpointFlags) registerTCP(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "address to serve, e.g. tcp://tcp.example.com:20001 (default: one is assigned)")
	flags.StringVar(&f.remoteAddr, "remote-addr", "", "the same, without a scheme")
	hide(flags, "remote-addr")
}

func (f *endpointFlags) registerUDP(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "address to serve, e.g. udp://udp.example.com:20001 (default: one is assigned)")
	flags.StringVar(&f.remoteAddr, "remote-addr", "", "the same, without a scheme")
	hide(flags, "remote-addr", "proxy-proto", "upstream-tls-verify", "upstream-tls-verify-cas", "inspect")
}

func (f *endpointFlags) registerTLS(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "URL to serve, e.g. tls://db.example.com (default: one is assigned)")
	flags.StringVar(&f.certificate, "crt", "", "PEM `file` of the certificate that visitors see; TLS then ends at the server, or where --terminate-at says")
	flags.StringVar(&f.key, "key", "", "PEM `file` of its key")
	flags.StringVar(&f.passphraseFile, "key-passphrase-file", "", "`file` with the passphrase of that key, if it is encrypted")
	flags.StringVar(&f.terminates, "terminate-at", "", "who ends visitors' TLS: upstream, agent or edge; at the agent without --crt and --key a certificate is obtained")
	flags.StringVar(&f.revocations, "mutual-tls-crl", "", "`file` of the authorities' revocation lists, PEM or DER")
	f.middlewareFlags.registerTLS(flags)
}

// endpoint makes the endpoint for one protocol and the address of its service. both
// tells that an http endpoint that does not say has two URLs. A policy that is given
// by URL is fetched now.
func (f *endpointFlags) endpoint(ctx context.Context, fallback postern.Scheme, address string, both bool) (config.Endpoint, error) {
	e := config.Endpoint{
		Name: f.name, Description: f.description, Metadata: f.metadata,
		Upstream: address, Subdomain: f.subdomain, Pooling: f.pooling, Bindings: f.bindings,
		VerifyTLS: f.verifyTLS, VerifyCAs: f.verifyCAs,
		Certificate: f.certificate, Key: f.key, PassphraseFile: f.passphraseFile, Revocations: f.revocations,
		NoInspect: !f.inspect, TTL: f.ttl,
	}
	if f.hostHeader != "preserve" {
		e.HostHeader = f.hostHeader
	}
	asked, err := f.asked()
	if err != nil {
		return config.Endpoint{}, err
	}
	if e.URL, err = postern.ParseURLRequest(asked, fallback); err != nil {
		return config.Endpoint{}, err
	}
	if err := checkScheme(e.URL.Scheme, fallback); err != nil {
		return config.Endpoint{}, err
	}
	if both && fallback == postern.HTTPS && f.url == "" && f.mutualTLSCAs == "" && f.mutualTLSMode == "" {
		e.SetSchemes([]postern.Scheme{postern.HTTPS, postern.HTTP})
	}
	if e.Middleware, err = f.middleware(ctx); err == nil {
		err = f.parsed(&e)
	}
	if err != nil {
		coded := *postern.AsError(err)
		if coded.Code == postern.CodeConfigInvalid {
			coded.Code = postern.CodeFlagInvalid
		}
		return config.Endpoint{}, &coded
	}
	return e, nil
}

// asked is the address that one of several flags asks for.
func (f *endpointFlags) asked() (string, error) {
	asked, by := "", ""
	for _, flag := range []struct{ name, value string }{
		{"--url", f.url}, {"--domain", f.domain}, {"--hostname", f.hostname}, {"--remote-addr", f.remoteAddr},
	} {
		switch {
		case flag.value == "":
		case by != "":
			return "", postern.Errorf(postern.CodeFlagInvalid, "Give %s or %s, not both: each asks for an address", by, flag.name)
		default:
			asked, by = flag.value, flag.name
		}
	}
	return asked, nil
}

func (f *endpointFlags) parsed(e *config.Endpoint) (err error) {
	if e.Protocol, err = config.ParseProtocol(f.protocol); err != nil {
		return err
	}
	if e.ProxyProtocol, err = config.ParseProxyProtocol(f.proxyProtocol); err != nil {
		return err
	}
	if e.Termination, err = config.ParseTermination(f.terminates); err != nil {
		return err
	}
	if f.ttl < 0 {
		return postern.Errorf(postern.CodeFlagInvalid, "--ttl %s is negative", f.ttl)
	}
	if e.Certificate != "" && f.terminates == "" {
		e.Termination = config.AtEdge
	}
	if f.bindTLS != "" {
		f.schemes = nil
		schemes, err := config.ParseBindTLS(f.bindTLS)
		if err != nil {
			return err
		}
		e.SetSchemes(schemes)
	}
	if f.schemes != nil {
		schemes, err := config.ParseSchemes(f.schemes)
		if err != nil {
			return err
		}
		e.SetSchemes(schemes)
	}
	return e.Validate()
}

// checkScheme holds a URL to its command.
func checkScheme(scheme, fallback postern.Scheme) error {
	web := scheme == postern.HTTP || scheme == postern.HTTPS
	if scheme == fallback || web && fallback == postern.HTTPS {
		return nil
	}
	command := string(scheme)
	if web {
		command = "http"
	}
	return postern.Errorf(postern.CodeFlagInvalid, "a %s:// URL belongs to the command \"postern %s\"", scheme, command)
}

// hide keeps aliases out of the help. The names are those registered above, so an
// error is impossible.
func hide(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		_ = flags.MarkHidden(name)
	}
}
