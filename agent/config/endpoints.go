package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
)

// endpointKeys are the keys of an item of "endpoints".
var endpointKeys = map[string]func(r *reader, d *draft, e entry) error{
	"name":                 text(func(d *draft) *string { return &d.Name }),
	"url":                  text(func(d *draft) *string { return &d.url }),
	"metadata":             text(func(d *draft) *string { return &d.Metadata }),
	"description":          text(func(d *draft) *string { return &d.Description }),
	"host_header":          hostHeader, // ours
	"subdomain":            text(func(d *draft) *string { return &d.Subdomain }),
	"pooling_enabled":      pooling,
	"inspect":              inspect,
	"ttl":                  ttl,     // ours
	"persist":              persist, // ours
	"traffic_policy":       trafficPolicy,
	"traffic_policy_file":  text(func(d *draft) *string { return &d.TrafficPolicyFile }),
	"mutual_tls_cas":       text(func(d *draft) *string { return &d.MutualTLSCAs }), // ours, as the next three
	"mutual_tls_crl":       text(func(d *draft) *string { return &d.Revocations }),
	"mutual_tls_mode":      text(func(d *draft) *string { return &d.MutualTLSMode }),
	"mutual_tls_stale_crl": flag(func(d *draft) *bool { return &d.MutualTLSStaleCRL }),
	"bindings":             items(func(d *draft) *[]string { return &d.Bindings }),
	"error_pages":          errorPages,  // ours
	"maintenance":          maintenance, // ours
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
	"server_certificate":                 text(func(d *draft) *string { return &d.Certificate }),
	"server_private_key":                 text(func(d *draft) *string { return &d.Key }),
	"server_private_key_passphrase_file": text(func(d *draft) *string { return &d.PassphraseFile }), // ours
	"mutual_tls_crl":                     text(func(d *draft) *string { return &d.Revocations }),    // ours
	"mutual_tls_mode":                    text(func(d *draft) *string { return &d.MutualTLSMode }),
	"mutual_tls_stale_crl":               flag(func(d *draft) *bool { return &d.MutualTLSStaleCRL }),
	"mutual_tls_certificate_authorities": func(r *reader, d *draft, e entry) error {
		list, err := r.list(e)
		if err != nil {
			return err
		}
		d.MutualTLSCAs, err = d.bundle(list)
		return err
	},
}

func (r *reader) section(d *draft, e entry, table map[string]func(*reader, *draft, entry) error) error {
	keys, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	return r.keys(d, keys, table)
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
	d := &draft{Endpoint: Endpoint{Where: r.where(item.GetToken()), Dir: r.dir()}}
	if len(keys) > 0 {
		d.Where = r.where(keys[0].node.GetToken())
	}
	err = r.keys(d, keys, endpointKeys)
	if err == nil {
		err = d.finishEndpoint()
	}
	return r.add(d, err)
}

func (d *draft) finishEndpoint() (err error) {
	if d.URL, err = postern.ParseURLRequest(d.url, postern.HTTPS); err != nil {
		return d.invalid("endpoint '%s': %s", d.Name, postern.AsError(err).Text())
	}
	if d.ends != nil {
		d.Termination = *d.ends
	}
	return d.Validate()
}

// bundle joins several CA files or PEM texts to one text.
func (d *draft) bundle(list []string) (string, error) {
	if len(list) == 1 {
		return list[0], nil
	}
	var all strings.Builder
	for _, one := range list {
		pem, err := ReadCAs(d.File(one))
		if err != nil {
			return "", err
		}
		all.Write(pem)
		all.WriteByte('\n')
	}
	return all.String(), nil
}
