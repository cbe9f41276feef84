package sessionmsg

import (
	"crypto/tls"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/link"
)

// Request gives what the message asks for. Errors are *postern.Error with
// CodeBindInvalid, CodeHostnameInvalid, CodeURLPartNotAllowed or
// CodeSchemeInvalid. Options that this server does not implement are no error
// here: they are named in Unsupported, for the Binder to refuse.
func (b *Bind) Request() (link.BindRequest, error) {
	if err := CheckBindID(b.ID); err != nil {
		return link.BindRequest{}, err
	}
	scheme, err := b.scheme()
	if err != nil {
		return link.BindRequest{}, err
	}
	o, err := b.decodeOpts()
	if err != nil {
		return link.BindRequest{}, err
	}
	request := link.BindRequest{
		ID:          b.ID,
		Token:       b.Extra.Token,
		Name:        b.Extra.Name,
		Description: b.Extra.Description,
		Metadata:    b.Extra.Metadata,
		ForwardsTo:  b.ForwardsTo,
		Bindings:    b.Extra.Bindings,
		Pooling:     b.Extra.PoolingEnabled,
		Middleware:  o.asked(),
		Unsupported: append(o.unsupported(), b.unsupported()...),
	}
	if request.URL, request.Subdomain, err = o.address(scheme); err != nil {
		return link.BindRequest{}, err
	}
	if request.Options, err = b.options(&o, request.URL.Scheme); err != nil {
		return link.BindRequest{}, err
	}
	return request, nil
}

// CheckBindID refuses, with CodeBindInvalid, an id that no server gave out: it
// comes back in every proxy header.
func CheckBindID(id string) error {
	const most = 128
	if len(id) > most || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return postern.Errorf(postern.CodeBindInvalid, "Id %.140q is not up to %d printable ASCII characters", id, most)
	}
	return nil
}

func (b *Bind) scheme() (postern.Scheme, error) {
	if b.Proto == "" {
		return postern.HTTPS, nil
	}
	return postern.ParseScheme(b.Proto)
}

func (b *Bind) decodeOpts() (opts, error) {
	var o opts
	if !present(b.Opts) {
		return o, nil
	}
	if err := Decode(b.Opts, &o); err != nil {
		coded := postern.AsError(err)
		return o, postern.Errorf(postern.CodeBindInvalid, "Opts: %s", coded.Text()).Because(coded.Cause)
	}
	return o, nil
}

// unsupported names what Bind itself, outside Opts, asks for in vain.
func (b *Bind) unsupported() []string {
	var names []string
	if b.Extra.IPPolicyRef != "" {
		names = append(names, "IPPolicyRef")
	}
	return names
}

// address says what URL is asked for. The newest way to ask counts: URL, then
// Domain, Hostname, Subdomain, and Addr for tcp and udp.
func (o *opts) address(scheme postern.Scheme) (postern.URLRequest, string, error) {
	asked := o.URL
	if asked == "" && !scheme.Hosted() {
		asked = o.Addr
	} else if asked == "" {
		asked = o.Domain
	}
	if asked == "" && scheme.Hosted() {
		asked = o.Hostname
	}
	if asked == "" {
		subdomain, err := o.subdomain(scheme)
		return postern.URLRequest{Scheme: scheme}, subdomain, err
	}
	request, err := ParseURL(asked, scheme)
	if err != nil {
		return postern.URLRequest{}, "", err
	}
	if !sameFamily(request.Scheme, scheme) {
		return postern.URLRequest{}, "", postern.Errorf(postern.CodeBindInvalid, "URL %.120q is not a URL of protocol %s", asked, scheme)
	}
	return request, "", nil
}

func (o *opts) subdomain(scheme postern.Scheme) (string, error) {
	if o.Subdomain == "" || !scheme.Hosted() {
		return "", nil
	}
	host, err := idn.ToASCII(o.Subdomain)
	if err != nil {
		return "", err
	}
	name, err := postern.ParseHostname(host)
	return name.String(), err
}

// sameFamily: http and https are one protocol with two URLs; tcp, tls and udp are each
// their own.
func sameFamily(a, b postern.Scheme) bool {
	isHTTP := func(s postern.Scheme) bool { return s == postern.HTTP || s == postern.HTTPS }
	return a == b || isHTTP(a) && isHTTP(b)
}

func (b *Bind) options(o *opts, scheme postern.Scheme) (postern.EndpointOptions, error) {
	options := postern.EndpointOptions{ProxyProtocol: int(o.ProxyProto)}
	var err error
	switch scheme {
	case postern.HTTP, postern.HTTPS:
		if options.UpstreamProtocol, err = upstreamProtocol(b.ForwardsProto); err != nil {
			return options, err
		}
		if o.HostHeaderRewrite {
			options.HostHeader, err = hostOf(b.ForwardsTo)
		}
		if err == nil {
			err = o.MutualTLSCA.apply(&options)
		}
	case postern.TLS:
		if err = o.TLSTermination.apply(&options); err == nil {
			err = o.MutualTLSAtEdge.apply(&options)
		}
	}
	if err == nil {
		err = o.misplaced(scheme)
	}
	return options, err
}

// misplaced refuses a guard that the endpoint's protocol does not have: dropped, it would
// leave the endpoint open.
func (o *opts) misplaced(scheme postern.Scheme) error {
	if scheme != postern.HTTP && scheme != postern.HTTPS && o.MutualTLSCA.asks() || scheme != postern.TLS && o.MutualTLSAtEdge.asks() {
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS is for https endpoints, and for tls endpoints that end at the edge; this one is %s", scheme)
	}
	return nil
}

func (m *mutualTLS) asks() bool { return m != nil && len(m.Authorities) > 0 }

// apply asks visitors for certificates of the authorities in the message.
func (m *mutualTLS) apply(options *postern.EndpointOptions) error {
	if !m.asks() {
		return nil
	}
	options.MutualTLS = postern.MutualTLS{AuthoritiesPEM: string(m.Authorities)}
	return CheckMutualTLS(options.MutualTLS)
}

// CheckMutualTLS refuses, with CodeBindInvalid, authorities that cannot be read and a mode
// that there is not.
func CheckMutualTLS(m postern.MutualTLS) error {
	_, err := postern.ParseClientCertificateMode(string(m.Mode))
	if err == nil && m.AuthoritiesPEM != "" {
		_, err = material.ReadAuthorities(material.Text{Name: "mutual_tls_cas", Data: []byte(m.AuthoritiesPEM)}, time.Time{})
	}
	if err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "%s", postern.AsError(err).Text())
	}
	return nil
}

func upstreamProtocol(name string) (postern.UpstreamProtocol, error) {
	switch strings.ToLower(name) {
	case "", "http1":
		return postern.HTTP1, nil
	case "http2":
		return postern.HTTP2, nil
	}
	return "", postern.Errorf(postern.CodeBindInvalid, `ForwardsProto %.40q is not "", "http1" or "http2"`, name)
}

// hostOf finds the Host that requests to an upstream shall carry. An upstream
// without a host (a unix socket) is "localhost", as clients of such sockets say.
func hostOf(forwardsTo string) (string, error) {
	host := forwardsTo
	if strings.Contains(forwardsTo, "://") {
		parsed, err := url.Parse(forwardsTo)
		if err != nil {
			return "", postern.Errorf(postern.CodeBindInvalid, "ForwardsTo %.120q is not a URL, and HostHeaderRewrite needs its host", forwardsTo)
		}
		host = parsed.Host
	}
	if host == "" {
		return "localhost", nil
	}
	if err := CheckHostHeader(host); err != nil {
		return "", err
	}
	return host, nil
}

// CheckHostHeader refuses, with CodeBindInvalid, what cannot be a Host header: it
// will be written into requests, where a line break would start another header.
func CheckHostHeader(host string) error {
	if len(host) > 255 || !httpguts.ValidHostHeader(host) || strings.ContainsAny(host, "/@ ") {
		return postern.Errorf(postern.CodeBindInvalid, "host header %.120q is not a host with an optional port", host)
	}
	return nil
}

// apply: no object is passthrough, an empty one the edge's own certificate, and
// one with PEM the agent's.
func (t *tlsTermination) apply(options *postern.EndpointOptions) error {
	if t == nil {
		return nil
	}
	options.Termination = postern.AtEdge
	if len(t.SealedKey) > 0 {
		return nil // named in Unsupported
	}
	options.CertificatePEM = string(t.Cert)
	options.KeyPEM = postern.Secret(t.Key)
	return CheckCertificate(options.CertificatePEM, options.KeyPEM)
}

// CheckCertificate refuses, with CodeBindInvalid, a certificate without its key,
// a key without its certificate, and a pair that does not belong together. Both
// empty is fine.
func CheckCertificate(certificatePEM string, key postern.Secret) error {
	if certificatePEM == "" && key == "" {
		return nil
	}
	if _, err := tls.X509KeyPair([]byte(certificatePEM), []byte(key.Reveal())); err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "the certificate and the key to terminate TLS with cannot be used together").Because(err)
	}
	return nil
}

// Echo gives the Opts of the reply: those of the request, changed so that the
// same Opts, sent again by a returning agent, ask for what bound is.
func (b *Bind) Echo(bound link.Bound) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if present(b.Opts) {
		if err := Decode(b.Opts, &members); err != nil {
			return nil, err
		}
	}
	key, value := "Domain", bound.URL.Host.String()
	if scheme := bound.URL.Scheme; !scheme.Hosted() {
		key, value = "Addr", strings.TrimPrefix(bound.PublicURL, string(scheme)+"://")
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return nil, unreadable(err)
	}
	url, err := json.Marshal(bound.PublicURL)
	if err != nil {
		return nil, unreadable(err)
	}
	if !replace(members, "URL", url) && !replace(members, key, quoted) {
		members[key] = quoted
	}
	return Encode(members)
}

// replace sets a member under every spelling that the request used for it, and
// tells whether there was one.
func replace(members map[string]json.RawMessage, name string, value json.RawMessage) bool {
	found := false
	for key := range members {
		if strings.EqualFold(key, name) {
			members[key] = value
			found = true
		}
	}
	return found
}

// Reply answers b with what was bound.
func (b *Bind) Reply(bound link.Bound) (BindResp, error) {
	echo, err := b.Echo(bound)
	if err != nil {
		return BindResp{}, err
	}
	return BindResp{
		ID:    bound.ID,
		URL:   bound.PublicURL,
		Proto: string(bound.URL.Scheme),
		Opts:  echo,
		Extra: BindRespExtra{Token: bound.Token, TunnelID: string(bound.EndpointID)},
	}, nil
}

// Refuse answers b with an error. The Opts go back as they came: ngrok-rust reads
// them before it looks at the error.
func (b *Bind) Refuse(why *postern.Error) BindResp {
	return BindResp{ID: b.ID, Proto: b.Proto, Opts: b.Opts, Error: ErrorText(why)}
}
