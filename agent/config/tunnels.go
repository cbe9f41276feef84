package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
)

// draft is an endpoint while its keys are read, in whichever order they stand.
type draft struct {
	Endpoint
	proto    string
	url      string
	hostname string
	remote   string
	schemes  []postern.Scheme
	ends     *Termination
}

// tunnelKeys are the keys of an item of "tunnels", of all generations, and of the
// body that starts a tunnel in the local API.
var tunnelKeys = map[string]func(r *reader, d *draft, e entry) error{
	"proto":               text(func(d *draft) *string { return &d.proto }),
	"addr":                text(func(d *draft) *string { return &d.Upstream }),
	"url":                 text(func(d *draft) *string { return &d.url }),
	"hostname":            text(func(d *draft) *string { return &d.hostname }),
	"domain":              text(func(d *draft) *string { return &d.hostname }),
	"remote_addr":         text(func(d *draft) *string { return &d.remote }),
	"subdomain":           text(func(d *draft) *string { return &d.Subdomain }),
	"metadata":            text(func(d *draft) *string { return &d.Metadata }),
	"description":         text(func(d *draft) *string { return &d.Description }),
	"region":              text(func(d *draft) *string { return &d.Region }),
	"host_header":         hostHeader,
	"crt":                 text(func(d *draft) *string { return &d.Certificate }),
	"key":                 text(func(d *draft) *string { return &d.Key }),
	"key_passphrase_file": text(func(d *draft) *string { return &d.PassphraseFile }), // ours
	"proxy_proto":         proxyProtocol,
	"pooling_enabled":     pooling,
	"terminate_at":        terminateAt,
	"bind_tls":            bindTLS,
	"schemes":             schemes,
	"app_protocol":        upstreamProtocol,
	"upstream_protocol":   upstreamProtocol,
	"verify_upstream_tls": flag(func(d *draft) *bool { return &d.VerifyTLS }),
	"upstream_tls_verify": flag(func(d *draft) *bool { return &d.VerifyTLS }),
	"bindings":            items(func(d *draft) *[]string { return &d.Bindings }),
	"inspect":             inspect,
	"ttl":                 ttl,     // ours
	"persist":             persist, // ours
	"labels":              labels,

	"auth":                    items(func(d *draft) *[]string { return &d.BasicAuth }),
	"basic_auth":              items(func(d *draft) *[]string { return &d.BasicAuth }),
	"circuit_breaker":         circuitBreaker,
	"compression":             flag(func(d *draft) *bool { return &d.Compression }),
	"ip_restriction":          section(ipRestrictionKeys),
	"mutual_tls_cas":          text(func(d *draft) *string { return &d.MutualTLSCAs }),
	"mutual_tls_mode":         text(func(d *draft) *string { return &d.MutualTLSMode }),   // ours
	"mutual_tls_stale_crl":    flag(func(d *draft) *bool { return &d.MutualTLSStaleCRL }), // ours
	"client_cas":              text(func(d *draft) *string { return &d.MutualTLSCAs }),
	"mutual_tls_crl":          text(func(d *draft) *string { return &d.Revocations }), // ours
	"oauth":                   signIn(func(d *draft) **SignIn { return &d.OAuth }),
	"oidc":                    signIn(func(d *draft) **SignIn { return &d.OIDC }),
	"request_header":          headers(func(d *draft) *HeaderEdit { return &d.RequestHeaders }),
	"response_header":         headers(func(d *draft) *HeaderEdit { return &d.ResponseHeaders }),
	"user_agent_filter":       section(userAgentKeys),
	"verify_webhook":          section(webhookKeys),
	"websocket_tcp_converter": flag(func(d *draft) *bool { return &d.WebSocketTCP }),
	"traffic_policy":          trafficPolicy,
	"traffic_policy_file":     text(func(d *draft) *string { return &d.TrafficPolicyFile }),
	"policy":                  trafficPolicy,
	"error_pages":             errorPages,  // ours
	"maintenance":             maintenance, // ours
}

// guarding are the keys that keep visitors out.
var guarding = map[string]bool{
	"auth": true, "basic_auth": true, "ip_restriction": true, "mutual_tls_cas": true, "client_cas": true, "mutual_tls_crl": true, "oauth": true,
	"oidc": true, "user_agent_filter": true, "verify_webhook": true, "traffic_policy": true, "traffic_policy_file": true, "policy": true,
	"allow_cidrs": true, "deny_cidrs": true, "allow_emails": true, "allow_domains": true, "allow": true, "deny": true,
	"mutual_tls_certificate_authorities": true, "mutual_tls_mode": true, "maintenance": true, "enabled": true,
}

func (r *reader) tunnels(e entry) error {
	tunnels, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	for _, tunnel := range tunnels {
		if _, isKey := tunnelKeys[tunnel.key]; isKey {
			if _, single := scalar(tunnel.value); single {
				return r.at(tunnel.node, "%s is a key of a tunnel, and no tunnel's name stands above it; write \"NAME:\" first and indent this line below it", tunnel.path)
			}
		}
		if err := r.tunnel(tunnel); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) tunnel(e entry) error {
	keys, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	d := &draft{Endpoint: Endpoint{Name: e.key, Where: r.where(e.node.GetToken()), Dir: r.dir()}}
	err = r.keys(d, keys, tunnelKeys)
	if err == nil {
		err = d.finishTunnel(r.config.FirstGeneration() && r.version == "1")
	}
	return r.add(d, err)
}

// keys reads the keys of one endpoint by a table.
func (r *reader) keys(d *draft, keys []entry, table map[string]func(*reader, *draft, entry) error) error {
	for _, key := range keys {
		read, known := table[key.key]
		if !known {
			if err := r.unknown(key, slices.Sorted(maps.Keys(table)), true); err != nil {
				return err
			}
			continue
		}
		r.older(key, olderTunnelKeys)
		if err := read(r, d, key); err != nil {
			return err
		}
	}
	return nil
}

// finishTunnel turns proto, names and schemes into the URL that is asked for. both
// tells that an http tunnel that does not say has two.
func (d *draft) finishTunnel(both bool) error {
	if err := d.setURL(both); err != nil {
		return d.invalid("%s", postern.AsError(err).Text())
	}
	// As ngrok: TLS is left to the service, unless a certificate says who has it.
	switch {
	case d.ends != nil:
		d.Termination = *d.ends
	case d.Certificate != "" && d.URL.Scheme == postern.TLS:
		d.Termination = AtEdge
	}
	return d.Validate()
}

func (d *draft) setURL(both bool) error {
	asked := 0
	for _, text := range []string{d.url, d.hostname, d.remote} {
		if text != "" {
			asked++
			d.url = text
		}
	}
	switch {
	case asked > 1:
		return postern.Errorf(postern.CodeConfigInvalid, "tunnel '%s': only one of url, hostname, domain and remote_addr can be given", d.Name)
	case d.hostname != "" && d.Subdomain != "":
		return postern.Errorf(postern.CodeConfigInvalid, "Tunnel '%s' must not specify both hostname and subdomain.", d.Name)
	}
	fallback, explicit := postern.HTTPS, strings.Contains(d.url, "://")
	switch strings.ToLower(d.proto) {
	case "http", "https":
	case "tcp":
		fallback = postern.TCP
	case "tls":
		fallback = postern.TLS
	case "udp":
		fallback = postern.UDP
	case "":
		if !explicit {
			return postern.Errorf(postern.CodeConfigInvalid, "tunnel '%s': proto is missing; it is one of http, tcp, tls, udp", d.Name)
		}
	default:
		return postern.Errorf(postern.CodeConfigInvalid, "Invalid protocol name '%s'", clip(d.proto))
	}
	var err error
	if d.URL, err = postern.ParseURLRequest(d.url, fallback); err != nil {
		return postern.Errorf(postern.CodeConfigInvalid, "tunnel '%s': %s", d.Name, postern.AsError(err).Text())
	}
	return d.applySchemes(both && !explicit)
}

func (d *draft) applySchemes(both bool) error {
	switch {
	case d.schemes != nil && !d.web():
		return postern.Errorf(postern.CodeConfigInvalid, "tunnel '%s': bind_tls and schemes are for http tunnels", d.Name)
	case d.schemes != nil:
		d.SetSchemes(d.schemes)
	case both && d.web() && d.proto != "https" && !d.asksForCertificates():
		// The first generation took both online, and its users' visitors rely on it.
		d.SetSchemes([]postern.Scheme{postern.HTTPS, postern.HTTP})
	}
	return nil
}

// add takes an endpoint in, with what is wrong with it. Of a name that an earlier file
// has the last counts; twice in one file is a mistake.
func (r *reader) add(d *draft, problem error) error {
	e := d.Endpoint
	if problem != nil {
		e.Problem = postern.AsError(problem)
	}
	if r.seen[e.Name] && e.Name != "" {
		return e.invalid("the name %q is used twice", clip(e.Name))
	}
	r.seen[e.Name] = true
	if i := r.config.find(e.Name); i >= 0 && e.Name != "" {
		r.config.Endpoints[i] = e
		return nil
	}
	r.config.Endpoints = append(r.config.Endpoints, e)
	return nil
}
