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

var inertTunnel = map[string]bool{
	"inspect": true, "region": true, "name": true,
}

// tunnelKeys are the keys of an item of "tunnels".
var tunnelKeys = map[string]func(r *reader, d *draft, e entry) error{
	"proto":           text(func(d *draft) *string { return &d.proto }),
	"addr":            text(func(d *draft) *string { return &d.Upstream }),
	"url":             text(func(d *draft) *string { return &d.url }),
	"hostname":        text(func(d *draft) *string { return &d.hostname }),
	"domain":          text(func(d *draft) *string { return &d.hostname }),
	"remote_addr":     text(func(d *draft) *string { return &d.remote }),
	"subdomain":       text(func(d *draft) *string { return &d.Subdomain }),
	"metadata":        text(func(d *draft) *string { return &d.Metadata }),
	"description":     text(func(d *draft) *string { return &d.Description }),
	"host_header":     hostHeader,
	"crt":             text(func(d *draft) *string { return &d.Certificate }),
	"key":             text(func(d *draft) *string { return &d.Key }),
	"proxy_proto":     proxyProtocol,
	"pooling_enabled": pooling,
	"terminate_at":    terminateAt,
	"bind_tls": func(r *reader, d *draft, e entry) error {
		return parsed(r, e, ParseBindTLS, func(s []postern.Scheme) { d.schemes = s })
	},
	"schemes": func(r *reader, d *draft, e entry) error {
		texts, err := r.list(e)
		if err != nil {
			return err
		}
		if d.schemes, err = ParseSchemes(texts); err != nil {
			return r.at(e.value, "%s: %s", e.path, postern.AsError(err).Text())
		}
		return nil
	},
	"app_protocol":      upstreamProtocol,
	"upstream_protocol": upstreamProtocol,
}

func (r *reader) tunnels(e entry) error {
	tunnels, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	for _, tunnel := range tunnels {
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
	d := &draft{Endpoint: Endpoint{Name: e.key, Where: r.where(e.node.GetToken())}}
	if err := r.keys(d, keys, tunnelKeys, inertTunnel); err != nil {
		return err
	}
	return r.finishTunnel(d)
}

// keys reads the keys of one endpoint by a table.
func (r *reader) keys(d *draft, keys []entry, table map[string]func(*reader, *draft, entry) error, inert map[string]bool) error {
	for _, key := range keys {
		read, known := table[key.key]
		switch {
		case known:
			if err := read(r, d, key); err != nil {
				return err
			}
		case inert[key.key]:
			r.warn(key)
		default:
			return r.unknown(key, slices.Sorted(maps.Keys(table)))
		}
	}
	return nil
}

// finishTunnel turns proto, names and schemes into the URL that is asked for.
func (r *reader) finishTunnel(d *draft) error {
	if err := d.setURL(r.version); err != nil {
		return d.invalid("tunnel '%s': %s", d.Name, postern.AsError(err).Text())
	}
	// As ngrok: TLS is left to the service, unless a certificate says who has it.
	switch {
	case d.ends != nil:
		d.Termination = *d.ends
	case d.Certificate != "" && d.URL.Scheme == postern.TLS:
		d.Termination = AtEdge
	}
	return r.addEndpoint(d.Endpoint)
}

func (d *draft) setURL(version string) error {
	asked := 0
	for _, text := range []string{d.url, d.hostname, d.remote} {
		if text != "" {
			asked++
			d.url = text
		}
	}
	if asked > 1 {
		return postern.Errorf(postern.CodeConfigInvalid, "only one of url, hostname, domain and remote_addr can be given")
	}
	fallback, explicit := postern.HTTPS, strings.Contains(d.url, "://")
	switch strings.ToLower(d.proto) {
	case "http", "https":
	case "tcp":
		fallback = postern.TCP
	case "tls":
		fallback = postern.TLS
	case "":
		if !explicit {
			return postern.Errorf(postern.CodeConfigInvalid, "proto is missing; it is one of http, tcp, tls")
		}
	default:
		return postern.Errorf(postern.CodeConfigInvalid, "Invalid protocol name '%s'", clip(d.proto))
	}
	var err error
	if d.URL, err = postern.ParseURLRequest(d.url, fallback); err != nil {
		return err
	}
	return d.applySchemes(version, explicit)
}

func (d *draft) applySchemes(version string, explicit bool) error {
	switch {
	case d.schemes != nil && !d.web():
		return postern.Errorf(postern.CodeConfigInvalid, "bind_tls and schemes are for http tunnels")
	case d.schemes != nil:
		d.SetSchemes(d.schemes)
	case version == "1" && d.web() && !explicit && d.proto != "https":
		// The first generation took both online, and its users' visitors rely on it.
		d.SetSchemes([]postern.Scheme{postern.HTTPS, postern.HTTP})
	}
	return nil
}

func (r *reader) addEndpoint(e Endpoint) error {
	if r.config.find(e.Name) >= 0 {
		return e.invalid("the name %q is used twice", clip(e.Name))
	}
	if err := e.Validate(); err != nil {
		return err
	}
	r.config.Endpoints = append(r.config.Endpoints, e)
	return nil
}

// text makes a reader of a single value into a field.
func text(field func(*draft) *string) func(*reader, *draft, entry) error {
	return func(r *reader, d *draft, e entry) (err error) {
		*field(d), err = r.text(e)
		return err
	}
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
	return parsed(r, e, func(s string) (string, error) { return s, nil }, func(s string) {
		if s != "preserve" {
			d.HostHeader = s
		}
	})
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

func pooling(r *reader, d *draft, e entry) (err error) {
	d.Pooling, err = r.flag(e)
	return err
}
