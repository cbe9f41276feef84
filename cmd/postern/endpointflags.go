package main

import (
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
	pooling                      bool
	verifyTLS                    bool
	verifyCAs                    string
	certificate, key, terminates string
}

func (f *endpointFlags) registerCommon(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "command_line", "name of the endpoint; with the authtoken it gives an assigned URL that stays the same")
	flags.StringVar(&f.description, "description", "", "what the endpoint is for")
	flags.StringVar(&f.metadata, "metadata", "", "opaque text for the server's operator")
	flags.StringVar(&f.proxyProtocol, "proxy-proto", "", "version of the PROXY protocol header that the service gets: 1 or 2")
	flags.StringVar(&f.proxyProtocol, "upstream-proxy-protocol", "", "the same")
	flags.StringArrayVar(&f.bindings, "binding", nil, "where the endpoint is reachable: public")
	flags.BoolVar(&f.pooling, "pooling-enabled", false, "share the URL, and its load, with other endpoints that have this set")
	flags.BoolVar(&f.verifyTLS, "upstream-tls-verify", false, "check the certificate of a service behind TLS")
	flags.StringVar(&f.verifyCAs, "upstream-tls-verify-cas", "", "PEM `file` of who may vouch for the service")
	hide(flags, "upstream-proxy-protocol")
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
	flags.StringVar(&f.bindTLS, "bind-tls", "", "true: https only (default); false: http only; both")
	flags.StringSliceVar(&f.schemes, "scheme", nil, "http, https or both, separated by a comma (default https)")
	flags.StringVar(&f.hostHeader, "host-header", "", "Host `header` that the service gets: rewrite (its own address), preserve, or a value")
	flags.StringVar(&f.protocol, "upstream-protocol", "", "HTTP version that the service speaks: http1 or http2")
	flags.StringVar(&f.protocol, "app-protocol", "", "the same")
	hide(flags, "app-protocol")
}

func (f *endpointFlags) registerTCP(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "address to serve, e.g. tcp://tcp.example.com:20001 (default: one is assigned)")
	flags.StringVar(&f.remoteAddr, "remote-addr", "", "the same, without a scheme")
	hide(flags, "remote-addr")
}

func (f *endpointFlags) registerTLS(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "URL to serve, e.g. tls://db.example.com (default: one is assigned)")
	flags.StringVar(&f.certificate, "crt", "", "PEM `file` of the certificate that visitors see; TLS then ends at the server, or where --terminate-at says")
	flags.StringVar(&f.key, "key", "", "PEM `file` of its key")
	flags.StringVar(&f.terminates, "terminate-at", "", "who ends visitors' TLS: upstream, agent or edge")
}

// endpoint makes the endpoint for one protocol and the address of its service.
func (f *endpointFlags) endpoint(fallback postern.Scheme, address string) (config.Endpoint, error) {
	e := config.Endpoint{
		Name: f.name, Description: f.description, Metadata: f.metadata,
		Upstream: address, Subdomain: f.subdomain, Pooling: f.pooling, Bindings: f.bindings,
		VerifyTLS: f.verifyTLS, VerifyCAs: f.verifyCAs,
		Certificate: f.certificate, Key: f.key,
	}
	if f.hostHeader != "preserve" {
		e.HostHeader = f.hostHeader
	}
	var err error
	if e.URL, err = postern.ParseURLRequest(firstOf(f.url, f.domain, f.hostname, f.remoteAddr), fallback); err != nil {
		return config.Endpoint{}, err
	}
	if err := checkScheme(e.URL.Scheme, fallback); err != nil {
		return config.Endpoint{}, err
	}
	if err := f.parsed(&e); err != nil {
		coded := *postern.AsError(err)
		coded.Code = postern.CodeFlagInvalid
		return config.Endpoint{}, &coded
	}
	return e, nil
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
