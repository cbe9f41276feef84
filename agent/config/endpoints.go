package config

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
)

var inertEndpoint = map[string]bool{
	"inspect": true,
}

// endpointKeys are the keys of an item of "endpoints".
var endpointKeys = map[string]func(r *reader, d *draft, e entry) error{
	"name":            text(func(d *draft) *string { return &d.Name }),
	"url":             text(func(d *draft) *string { return &d.url }),
	"metadata":        text(func(d *draft) *string { return &d.Metadata }),
	"description":     text(func(d *draft) *string { return &d.Description }),
	"host_header":     hostHeader, // ours
	"pooling_enabled": pooling,
	"bindings": func(r *reader, d *draft, e entry) (err error) {
		d.Bindings, err = r.list(e)
		return err
	},
	"upstream": func(r *reader, d *draft, e entry) error {
		return r.section(d, e, upstreamKeys)
	},
	"agent_tls_termination": func(r *reader, d *draft, e entry) error {
		ends := AtAgent
		d.ends = &ends
		return r.section(d, e, terminationKeys)
	},
}

// upstreamKeys are those below "upstream".
var upstreamKeys = map[string]func(r *reader, d *draft, e entry) error{
	"url":            text(func(d *draft) *string { return &d.Upstream }),
	"protocol":       upstreamProtocol,
	"proxy_protocol": proxyProtocol,
	"tls_verify": func(r *reader, d *draft, e entry) (err error) { // ours
		d.VerifyTLS, err = r.flag(e)
		return err
	},
	"tls_verify_cas": text(func(d *draft) *string { return &d.VerifyCAs }), // ours
}

// terminationKeys are those below "agent_tls_termination".
var terminationKeys = map[string]func(r *reader, d *draft, e entry) error{
	"server_certificate": text(func(d *draft) *string { return &d.Certificate }),
	"server_private_key": text(func(d *draft) *string { return &d.Key }),
}

func (r *reader) section(d *draft, e entry, table map[string]func(*reader, *draft, entry) error) error {
	keys, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	return r.keys(d, keys, table, nil)
}

func (r *reader) endpoints(e entry) error {
	if _, empty := e.value.(*ast.NullNode); empty {
		return nil
	}
	items, ok := e.value.(*ast.SequenceNode)
	if !ok {
		return r.at(e.value, "endpoints must be a list, each item starting with \"- name:\"")
	}
	for _, item := range items.Values {
		if err := r.endpoint(e.path, item); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) endpoint(path string, item ast.Node) error {
	keys, err := r.entries(path, item)
	if err != nil {
		return err
	}
	d := &draft{Endpoint: Endpoint{Where: r.where(item.GetToken())}}
	if len(keys) > 0 {
		d.Where = r.where(keys[0].node.GetToken())
	}
	if err := r.keys(d, keys, endpointKeys, inertEndpoint); err != nil {
		return err
	}
	if d.URL, err = postern.ParseURLRequest(d.url, postern.HTTPS); err != nil {
		return d.invalid("endpoint '%s': %s", d.Name, postern.AsError(err).Text())
	}
	if d.ends != nil {
		d.Termination = *d.ends
	}
	return r.addEndpoint(d.Endpoint)
}
