package native

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// options is Bind.Opts and BindResp.Opts on this wire. It is not ngrok's object:
// it holds what link.BindRequest holds and no more. spec.md lists it.
type options struct {
	URL            string           `json:",omitempty"` // asked for; in a reply, the canonical URL
	Subdomain      string           `json:",omitempty"`
	HostHeader     string           `json:",omitempty"`
	ProxyProtocol  int              `json:",omitempty"` // 0, 1, 2
	VisitorAddress bool             `json:",omitempty"` // streams are not shared between addresses
	Termination    string           `json:",omitempty"` // "" or "edge"
	CertificatePEM string           `json:",omitempty"`
	KeyPEM         sessionmsg.Token `json:",omitempty"`
	MutualTLS      *mutualTLS       `json:",omitempty"`

	Middleware map[string]json.RawMessage `json:",omitempty"` // as link.BindRequest has it
}

// mutualTLS is postern.MutualTLS.
type mutualTLS struct {
	Mode           string `json:",omitempty"`
	AuthoritiesPEM string `json:",omitempty"`
	AuthorityIDs   string `json:",omitempty"`
	StaleLists     bool   `json:",omitempty"`
}

func newMutualTLS(m postern.MutualTLS) *mutualTLS {
	if !m.Asks() {
		return nil
	}
	return &mutualTLS{string(m.Mode), m.AuthoritiesPEM, m.AuthorityIDs, m.StaleLists}
}

// apply adds what m asks for. An empty object is refused: whoever sends it may believe that
// it keeps visitors out.
func (m *mutualTLS) apply(to *postern.EndpointOptions) error {
	if m == nil {
		return nil
	}
	asked := postern.MutualTLS{
		Mode: postern.ClientCertificateMode(m.Mode), AuthoritiesPEM: m.AuthoritiesPEM, AuthorityIDs: m.AuthorityIDs, StaleLists: m.StaleLists,
	}
	if !asked.Asks() {
		return postern.Errorf(postern.CodeBindInvalid, "MutualTLS is empty; give authorities, or a mode that needs none")
	}
	if to.MutualTLS.Asks() {
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS is asked for twice, in MutualTLS and in Middleware")
	}
	to.MutualTLS = asked
	return sessionmsg.CheckMutualTLS(asked)
}

// checkKnown refuses what a newer agent asks for and this server does not know. Nothing
// is dropped in silence: it might have kept visitors out.
func checkKnown(raw json.RawMessage) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil // whoever reads the options says so
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		known := slices.ContainsFunc(reflect.VisibleFields(reflect.TypeFor[options]()), func(f reflect.StructField) bool {
			return strings.EqualFold(f.Name, name)
		})
		if !known && string(all[name]) != "null" {
			return postern.Errorf(postern.CodeOptionUnsupported, "this server does not have the option %.40q; leave it out, or update the server", name)
		}
	}
	return nil
}

// newBind makes the message that asks for r. r.Unsupported stays here: it is the
// server's word.
func newBind(r link.BindRequest) (sessionmsg.Bind, error) {
	o := r.Options
	raw, err := sessionmsg.Encode(options{
		URL:            urlText(r.URL),
		Subdomain:      r.Subdomain,
		HostHeader:     o.HostHeader,
		ProxyProtocol:  o.ProxyProtocol,
		VisitorAddress: o.VisitorAddress,
		Termination:    string(o.Termination),
		CertificatePEM: o.CertificatePEM,
		KeyPEM:         sessionmsg.Token(o.KeyPEM.Reveal()),
		MutualTLS:      newMutualTLS(o.MutualTLS),
		Middleware:     r.Middleware,
	})
	if err != nil {
		return sessionmsg.Bind{}, err
	}
	return sessionmsg.Bind{
		ID:            r.ID,
		Proto:         string(r.URL.Scheme),
		ForwardsTo:    r.ForwardsTo,
		ForwardsProto: string(o.UpstreamProtocol),
		Opts:          raw,
		Extra: sessionmsg.BindExtra{
			Name:           r.Name,
			Token:          r.Token,
			Metadata:       r.Metadata,
			Description:    r.Description,
			Bindings:       r.Bindings,
			PoolingEnabled: r.Pooling,
		},
	}, nil
}

// urlText writes a request so that postern.ParseURLRequest reads the same again;
// "" where nothing but the scheme is asked for.
func urlText(r postern.URLRequest) string {
	if r == (postern.URLRequest{Scheme: r.Scheme}) {
		return ""
	}
	if r.IP.IsValid() {
		host := r.IP.String()
		if r.IP.Is6() {
			host = "[" + host + "]"
		}
		return postern.URL{Scheme: r.Scheme, Host: postern.Hostname(host), Port: r.Port}.String()
	}
	return postern.URL{Scheme: r.Scheme, Host: r.Host, Port: r.Port}.String()
}

// readBind is the reverse of newBind, for a message from a stranger. The common
// part is read as for SDKs, with the options taken out.
func readBind(b *sessionmsg.Bind) (link.BindRequest, error) {
	var o options
	if len(b.Opts) > 0 && string(b.Opts) != "null" {
		if err := sessionmsg.Decode(b.Opts, &o); err != nil {
			return link.BindRequest{}, postern.Errorf(postern.CodeBindInvalid, "Opts: %s", postern.AsError(err).Text())
		}
		if err := checkKnown(b.Opts); err != nil {
			return link.BindRequest{}, err
		}
	}
	common := *b
	var err error
	if common.Opts, err = json.Marshal(o.common()); err != nil {
		return link.BindRequest{}, postern.Errorf(postern.CodeBindInvalid, "Opts cannot be read").Because(err)
	}
	request, err := common.Request()
	if err != nil {
		return link.BindRequest{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Middleware)) {
		if !sessionmsg.IsMiddleware(name) {
			request.Unsupported = append(request.Unsupported, name)
		}
	}
	return request, o.apply(&request.Options, request.URL.Scheme)
}

// common is the part that is read as it is for SDKs.
func (o *options) common() map[string]any {
	common := map[string]any{"URL": o.URL, "Subdomain": o.Subdomain}
	for name, value := range o.Middleware {
		if sessionmsg.IsMiddleware(name) {
			common[name] = value
		}
	}
	return common
}

// apply checks the options and adds them.
func (o *options) apply(to *postern.EndpointOptions, scheme postern.Scheme) error {
	if o.ProxyProtocol < 0 || o.ProxyProtocol > 2 {
		return postern.Errorf(postern.CodeBindInvalid, "ProxyProtocol %d is not 0, 1 or 2", o.ProxyProtocol)
	}
	if o.HostHeader != "" {
		if err := sessionmsg.CheckHostHeader(o.HostHeader); err != nil {
			return err
		}
	}
	switch postern.Termination(o.Termination) {
	case postern.Passthrough, postern.AtEdge:
	default:
		return postern.Errorf(postern.CodeBindInvalid, `Termination %.40q is not "" or "edge"`, o.Termination)
	}
	key := postern.Secret(o.KeyPEM)
	if err := sessionmsg.CheckCertificate(o.CertificatePEM, key); err != nil {
		return err
	}
	to.ProxyProtocol = o.ProxyProtocol
	to.HostHeader = o.HostHeader
	to.VisitorAddress = o.VisitorAddress
	if scheme == postern.TLS {
		to.Termination = postern.Termination(o.Termination)
		to.CertificatePEM, to.KeyPEM = o.CertificatePEM, key
	}
	return o.MutualTLS.apply(to)
}

// reply answers a Bind. The public URL is for people, the canonical one, in Opts,
// for the agent to ask for when it comes back.
func reply(b *sessionmsg.Bind, bound link.Bound) (sessionmsg.BindResp, error) {
	raw, err := sessionmsg.Encode(options{URL: bound.URL.String()})
	if err != nil {
		return sessionmsg.BindResp{}, err
	}
	return sessionmsg.BindResp{
		ID:    bound.ID,
		URL:   bound.PublicURL,
		Proto: string(bound.URL.Scheme),
		Opts:  raw,
		Extra: sessionmsg.BindRespExtra{Token: bound.Token, TunnelID: string(bound.EndpointID)},
	}, nil
}

// notInURL tells of characters that end a line or drive a terminal.
func notInURL(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }

// readReply is the reverse of reply.
func readReply(r *sessionmsg.BindResp) (link.Bound, error) {
	if err := sessionmsg.ParseErrorText(r.Error, postern.CodeInternal); err != nil {
		return link.Bound{}, err
	}
	var o options
	if err := sessionmsg.Decode(r.Opts, &o); err != nil {
		return link.Bound{}, err
	}
	canonical, err := postern.ParseURLRequest(o.URL, postern.Scheme(r.Proto))
	if err != nil {
		return link.Bound{}, postern.Errorf(postern.CodeProtocolViolation, "the server's reply names no URL").Because(err)
	}
	// It is printed, logged, and written to files that are read by line.
	if _, err := postern.ParseURLRequest(r.URL, canonical.Scheme); err != nil || strings.ContainsFunc(r.URL, notInURL) {
		return link.Bound{}, postern.Errorf(postern.CodeProtocolViolation, "the server's reply names %q, which is no URL of an endpoint", r.URL)
	}
	return link.Bound{
		ID:         r.ID,
		EndpointID: postern.EndpointID(r.Extra.TunnelID),
		Token:      r.Extra.Token,
		URL:        postern.URL{Scheme: canonical.Scheme, Host: canonical.Host, Port: canonical.Port},
		PublicURL:  r.URL,
	}, nil
}
