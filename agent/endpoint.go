package agent

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/agent/termination"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
)

// Endpoint is an endpoint to keep online.
type Endpoint struct {
	config.Endpoint
	// Handler serves the streams instead of a service at Upstream, which is then not
	// dialled and only shown. TLS that ends at the agent is the Handler's to end.
	Handler session.Handler
	// Terminate ends visitors' TLS at the agent, like Termination AtAgent, with
	// certificates that are loaded already.
	Terminate *tls.Config
	// UpstreamRoots may vouch for a service behind TLS, like VerifyCAs.
	UpstreamRoots *x509.CertPool
}

// assemble makes what a session keeps online.
func (e Endpoint) assemble(logger *slog.Logger, acme termination.ACME) (session.Endpoint, error) {
	if e.URL.Scheme == "" {
		e.URL.Scheme = postern.HTTPS
	}
	request := link.BindRequest{
		URL:         e.URL,
		Subdomain:   e.Subdomain,
		Description: e.Description,
		Metadata:    e.Metadata,
		Bindings:    e.Bindings,
		Pooling:     e.Pooling,
		Options: postern.EndpointOptions{
			HostHeader:       e.HostHeader,
			ProxyProtocol:    e.ProxyProtocol,
			UpstreamProtocol: e.Protocol,
			VisitorAddress:   e.Handler != nil, // whoever embeds sees who calls
		},
	}
	assembled := session.Endpoint{Name: e.Name, Also: e.Also, Address: e.Upstream, Handler: e.Handler, TTL: e.TTL}
	if e.Handler == nil {
		upstream, handler, err := e.handler(logger, acme)
		if err != nil {
			return session.Endpoint{}, err
		}
		assembled.Handler, assembled.Address = handler, upstream.String()
		if strings.EqualFold(e.HostHeader, config.RewriteHost) {
			request.Options.HostHeader = upstream.HostHeader()
		}
	}
	request.ForwardsTo = assembled.Address
	middleware, err := e.Options()
	if err != nil {
		return session.Endpoint{}, e.located(err)
	}
	request.Middleware = middleware
	if err := e.certifyAtEdge(&request.Options, logger); err != nil {
		return session.Endpoint{}, err
	}
	if err := e.terminateAtEdge(&request.Options, logger); err != nil {
		return session.Endpoint{}, err
	}
	assembled.Request = request
	return assembled, nil
}

// handler makes what serves the streams of the service at e.Upstream.
func (e *Endpoint) handler(logger *slog.Logger, acme termination.ACME) (session.Upstream, session.Handler, error) {
	if err := e.Validate(); err != nil {
		return session.Upstream{}, nil, err
	}
	upstream, err := session.ParseUpstream(e.Upstream, e.URL.Scheme)
	if err != nil {
		coded := *postern.AsError(err)
		coded.Message = "Tunnel '" + e.Name + "' specifies an " + coded.Text()
		return session.Upstream{}, nil, e.located(&coded)
	}
	if upstream.Network == "file" {
		files, err := session.NewFiles(upstream.Address, logger)
		if err == nil && e.ProxyProtocol != 0 {
			err = postern.Errorf(postern.CodeConfigInvalid, "tunnel '%s': files are served by the agent, which has no use for a PROXY header; remove proxy_proto", e.Name)
		}
		if err != nil {
			return session.Upstream{}, nil, e.located(err)
		}
		return upstream, files, nil
	}
	if upstream.Network == "udp" {
		return upstream, &session.Datagrams{Upstream: upstream, Logger: logger}, nil
	}
	forward, err := e.forward(upstream, logger, acme)
	if err != nil {
		return session.Upstream{}, nil, e.located(err)
	}
	return upstream, forward, nil
}

// forward makes the handler that brings streams to a service.
func (e *Endpoint) forward(upstream session.Upstream, logger *slog.Logger, acme termination.ACME) (forward *session.Forward, err error) {
	forward = &session.Forward{
		Upstream:      upstream,
		HTTP:          e.URL.Scheme == postern.HTTP || e.URL.Scheme == postern.HTTPS,
		Protocol:      e.Protocol,
		ProxyProtocol: e.ProxyProtocol,
		Terminate:     e.Terminate,
		Logger:        logger,
	}
	switch {
	case e.UpstreamRoots != nil:
		forward.TLS = &tls.Config{RootCAs: e.UpstreamRoots}
	case e.VerifyTLS || e.VerifyCAs != "":
		roots, err := dial.Pool(e.VerifyCAs)
		if err != nil {
			return nil, err
		}
		forward.TLS = &tls.Config{RootCAs: roots}
	}
	if e.Termination == config.AtAgent {
		ends, err := termination.New(termination.Config{Endpoint: e.Endpoint, ACME: acme, Logger: logger})
		if err != nil {
			return nil, err
		}
		forward.Terminate, forward.Verified, forward.Keeper = ends.TLS(), ends.Verified, ends
	}
	return forward, nil
}

// terminateAtEdge hands the edge what it needs to end visitors' TLS.
func (e *Endpoint) terminateAtEdge(options *postern.EndpointOptions, logger *slog.Logger) error {
	if e.Termination != config.AtEdge {
		return nil
	}
	options.Termination = postern.AtEdge
	if e.Certificate == "" {
		return nil
	}
	identity, err := termination.ReadIdentity(&e.Endpoint, time.Now())
	if err != nil {
		return e.located(err)
	}
	chain, key, err := identity.PEM()
	if err != nil {
		return e.located(err)
	}
	for _, w := range identity.Warnings {
		logger.Warn(w.Text, slog.String("name", e.Name), slog.String("defect", string(w.Defect)), slog.String("advice", w.Advice))
	}
	options.CertificatePEM, options.KeyPEM = string(chain), key
	return nil
}

// certifyAtEdge has the edge ask visitors for certificates.
func (e *Endpoint) certifyAtEdge(options *postern.EndpointOptions, logger *slog.Logger) error {
	if e.Termination == config.AtAgent || e.Terminate != nil {
		return nil
	}
	asked, authorities, err := e.MutualTLS(time.Now())
	if err != nil {
		return e.located(err)
	}
	if authorities != nil {
		for _, w := range authorities.Warnings {
			logger.Warn(w.Text, slog.String("name", e.Name), slog.String("defect", string(w.Defect)), slog.String("advice", w.Advice))
		}
	}
	options.MutualTLS = asked
	return nil
}

// located puts the place in a file in front of an error's message.
func (e *Endpoint) located(err error) error {
	coded := *postern.AsError(err)
	if e.Where != "" {
		coded.Message = e.Where + ": " + coded.Text()
	}
	return &coded
}
