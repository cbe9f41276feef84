package control

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/link"
)

// The bounds of texts that agents attach to endpoints; ngrok's, where it has one.
const (
	maxBindID      = 255
	maxName        = 255
	maxDescription = 255
	maxMetadata    = 4096
	maxForwardsTo  = 2048
)

// checkRequest refuses what no server could serve, before anything is looked up.
func checkRequest(r link.BindRequest) error {
	if _, err := postern.ParseScheme(string(r.URL.Scheme)); err != nil {
		return err
	}
	if len(r.Unsupported) > 0 {
		return postern.Errorf(postern.CodeOptionUnsupported, "this server does not have %s; leave it out", strings.Join(r.Unsupported, ", "))
	}
	if r.Subdomain != "" && (r.URL.Host != "" || !r.URL.Scheme.Hosted()) {
		return postern.Errorf(postern.CodeBindInvalid, "subdomain %q: give either a subdomain or a URL with a host", shorten(r.Subdomain))
	}
	if r.URL.IP.IsValid() {
		return postern.Errorf(postern.CodeHostnameInvalid, "%s is an address; endpoints have names", r.URL.IP)
	}
	if err := checkTexts(r.ID, r.Name, r.Description, r.Metadata, r.ForwardsTo); err != nil {
		return err
	}
	return checkOptions(r.URL.Scheme, r.Options)
}

func checkTexts(id, name, description, metadata, forwardsTo string) error {
	for _, field := range []struct {
		name, value string
		most        int
	}{
		{"id", id, maxBindID}, {"name", name, maxName}, {"description", description, maxDescription},
		{"metadata", metadata, maxMetadata}, {"forwards_to", forwardsTo, maxForwardsTo},
	} {
		if len(field.value) > field.most {
			return postern.Errorf(postern.CodeBindInvalid, "%s has %d bytes; at most %d are allowed", field.name, len(field.value), field.most)
		}
	}
	return nil
}

func checkOptions(scheme postern.Scheme, o postern.EndpointOptions) error {
	if o.ProxyProtocol < 0 || o.ProxyProtocol > 2 {
		return postern.Errorf(postern.CodeBindInvalid, "PROXY protocol version %d is not 0, 1 or 2", o.ProxyProtocol)
	}
	if len(o.HostHeader) > 260 || strings.ContainsFunc(o.HostHeader, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return postern.Errorf(postern.CodeBindInvalid, "host header %q is not a host", shorten(o.HostHeader))
	}
	if !slices.Contains([]postern.UpstreamProtocol{postern.HTTP1, postern.HTTP2}, o.UpstreamProtocol) {
		return postern.Errorf(postern.CodeBindInvalid, "upstream protocol %q is not http1 or http2", shorten(string(o.UpstreamProtocol)))
	}
	if o.ProxyProtocol != 0 && scheme == postern.UDP {
		return postern.Errorf(postern.CodeBindInvalid, "the PROXY protocol is not for udp endpoints: a datagram has no beginning of a connection before it")
	}
	if o.Termination != postern.Passthrough && scheme != postern.TLS {
		return postern.Errorf(postern.CodeBindInvalid, "TLS termination %q is for tls endpoints only", shorten(string(o.Termination)))
	}
	if err := checkCertificate(scheme, o); err != nil {
		return err
	}
	return checkMutualTLS(scheme, o)
}

// checkMutualTLS reads the authorities now, as checkCertificate does the certificate. Those
// that the account has uploaded are looked at in each handshake: they may change.
func checkMutualTLS(scheme postern.Scheme, o postern.EndpointOptions) error {
	m := o.MutualTLS
	if !m.Asks() {
		return nil
	}
	if err := mutualtls.Usable(m, scheme, o.Termination); err != nil {
		return err
	}
	ids := m.IDs()
	switch {
	case len(ids) > material.MostAuthorities:
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS names %d uploaded authorities, at most %d are allowed", len(ids), material.MostAuthorities)
	case m.AuthorityIDs != "" && len(ids) == 0:
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS names no uploaded authority in %q", shorten(m.AuthorityIDs))
	}
	var all []*material.Authorities
	if m.AuthoritiesPEM != "" {
		given, err := material.ReadAuthorities(material.Text{Name: "mutual_tls_cas", Data: []byte(m.AuthoritiesPEM)}, time.Now())
		if err != nil {
			return postern.Errorf(postern.CodeBindInvalid, "%s", postern.AsError(err).Text())
		}
		all = append(all, given)
	}
	if len(ids) > 0 {
		return nil
	}
	if _, err := mutualtls.Compile(m, all...); err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "%s", postern.AsError(err).Text())
	}
	return nil
}

// checkCertificate reads an agent's own certificate now: a bad one must fail the
// bind, not every handshake.
func checkCertificate(scheme postern.Scheme, o postern.EndpointOptions) error {
	if o.CertificatePEM == "" && o.KeyPEM == "" {
		return nil
	}
	if scheme != postern.TLS || o.Termination != postern.AtEdge {
		return postern.Errorf(postern.CodeBindInvalid, "a certificate is for tls endpoints that are terminated at the edge")
	}
	if _, err := tls.X509KeyPair([]byte(o.CertificatePEM), []byte(o.KeyPEM.Reveal())); err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "the endpoint's certificate and key cannot be used: %v", err)
	}
	return nil
}

// checkAuthorities refuses those that the session's account has not uploaded.
func (s *session) checkAuthorities(ctx context.Context, m postern.MutualTLS) error {
	for _, id := range m.IDs() {
		if s.control.config.Authority == nil {
			return postern.Errorf(postern.CodeOptionUnsupported, "this server has no uploaded certificate authorities; give the certificate itself")
		}
		if err := s.control.config.Authority(ctx, s.info.Account, id); err != nil {
			return err
		}
	}
	return nil
}

// requested turns what was asked for into a URL whose empty parts are to be
// assigned. The port of http, https and tls says nothing and is dropped once it is
// known to be right.
func (c *Control) requested(r link.BindRequest) (postern.URL, error) {
	u := postern.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	if !u.Scheme.Hosted() {
		return c.requestedPort(r.URL)
	}
	public := c.config.Public.Port(u.Scheme)
	if public == 0 {
		return u, postern.Errorf(postern.CodeOptionUnsupported, "this server has no listener for %s endpoints", u.Scheme)
	}
	if p := r.URL.Port; p != 0 && p != u.Scheme.DefaultPort() && p != public {
		return u, postern.Errorf(postern.CodeURLPartNotAllowed, "port %d: %s endpoints of this server are on port %d; leave the port out", p, u.Scheme, public)
	}
	if r.Subdomain != "" {
		host, err := postern.ParseHostname(r.Subdomain + "." + string(c.base()))
		if err != nil {
			return u, err
		}
		u.Host = host
	}
	if u.Host != "" {
		return u, c.checkHost(u.Host)
	}
	return u, nil
}

// requestedPort is requested for endpoints that are told apart by their port.
func (c *Control) requestedPort(r postern.URLRequest) (postern.URL, error) {
	u := postern.URL{Scheme: r.Scheme, Host: c.portHost(r.Scheme), Port: r.Port}
	kind, ports := strings.ToUpper(string(r.Scheme)), c.ports(r.Scheme)
	if r.Host != "" && r.Host != u.Host {
		return u, postern.Errorf(postern.CodeDomainForeign, "%s: %s endpoints of this server are %s:PORT", r.Host, kind, u.Host)
	}
	if ports.First == 0 {
		return u, postern.Errorf(postern.CodeOptionUnsupported, "this server has no ports for %s endpoints (listen.%s_ports)", kind, r.Scheme)
	}
	if r.Port != 0 && (r.Port < ports.First || r.Port > ports.Last) {
		return u, postern.Errorf(postern.CodePortUnavailable, "port %d is outside %d to %d, the ports of this server's %s endpoints", r.Port, ports.First, ports.Last, kind)
	}
	return u, nil
}

// ports are those that endpoints of a scheme may have.
func (c *Control) ports(scheme postern.Scheme) PortRange {
	if scheme == postern.UDP {
		return c.config.UDPPorts
	}
	return c.config.TCPPorts
}

// shorten keeps what an agent sent from filling a message.
func shorten(text string) string { return postern.Clip(text, 100) }
