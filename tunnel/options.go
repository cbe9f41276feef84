package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
)

// Options describe an endpoint and the way to its server. The zero value is an https
// endpoint with an assigned URL, at the server that the environment names.
type Options struct {
	// URL is what visitors should use: "https://app.example.com", "tcp://" for any
	// port, "tls://db.example.com", "udp://" for any port (Forward only). "" is an https URL that the server assigns.
	URL string

	// Name tells the endpoints of one authtoken apart. With the same name an assigned
	// URL is the same again after a restart. "" is "default".
	Name        string
	Description string // for people, shown by the server
	Metadata    string // opaque, for programs that ask the server
	Pooling     bool   // share the URL, and its visitors, with others that set this

	// Server is the server's address, "connect.example.com" or "host:port". "" is
	// $POSTERN_CONNECT_URL.
	Server string
	// Authtoken says who we are. "" is $POSTERN_AUTHTOKEN, then $NGROK_AUTHTOKEN.
	Authtoken string
	// Roots may vouch for the server. nil is the file $POSTERN_CONNECT_CAS, else the
	// system's.
	Roots *x509.CertPool

	// TLS ends visitors' TLS in this process, on a tls:// endpoint, so that the server
	// never sees plaintext. nil hands a Listener the visitors' TLS as it is.
	TLS *tls.Config

	// MutualTLS has the server ask visitors of an https endpoint for certificates. Give
	// AuthoritiesPEM or AuthorityIDs, not both. On a tls:// endpoint whose TLS ends here,
	// TLS says whom to ask for.
	MutualTLS postern.MutualTLS

	// HostHeader and HTTP2 are for Forward to an HTTP service: what it sees as Host
	// ("" the visitor's, "rewrite" its own address, or a value), and whether it speaks
	// HTTP/2 rather than HTTP/1.1. VerifyUpstream, where set, vouches for a service
	// behind TLS; nil accepts any certificate there.
	HostHeader     string
	HTTP2          bool
	VerifyUpstream *x509.CertPool

	// Drain is how long connections may go on after Close; 0 is 30 seconds.
	Drain time.Duration

	// Logger gets what happens to the session; nil is silent.
	Logger *slog.Logger
}

// endpoint makes the agent's endpoint of the options.
func (o *Options) endpoint(upstream string) (config.Endpoint, error) {
	url, err := postern.ParseURLRequest(o.URL, postern.HTTPS)
	if err != nil {
		return config.Endpoint{}, err
	}
	if o.TLS != nil && url.Scheme != postern.TLS {
		return config.Endpoint{}, postern.Errorf(postern.CodeConfigInvalid,
			"Options.TLS ends TLS on tls:// endpoints; on %s:// there is none left to end", url.Scheme)
	}
	e := config.Endpoint{
		Name: o.Name, Description: o.Description, Metadata: o.Metadata, Pooling: o.Pooling,
		URL: url, Upstream: upstream, HostHeader: o.HostHeader,
	}
	if e.Name == "" {
		e.Name = "default"
	}
	if err := o.mutualTLS(&e); err != nil {
		return config.Endpoint{}, err
	}
	if o.HTTP2 {
		e.Protocol = postern.HTTP2
	}
	return e, nil
}

// mutualTLS has the server ask for certificates. What it could not do is refused: dropped,
// it would leave the endpoint open.
func (o *Options) mutualTLS(e *config.Endpoint) error {
	m := o.MutualTLS
	switch {
	case !m.Asks():
		return nil
	case e.URL.Scheme != postern.HTTPS:
		return postern.Errorf(postern.CodeConfigInvalid, "Options.MutualTLS is for https:// endpoints; on tls:// ones set Options.TLS, with ClientCAs, and %s:// has no TLS", e.URL.Scheme)
	case m.AuthoritiesPEM != "" && m.AuthorityIDs != "":
		return postern.Errorf(postern.CodeConfigInvalid, "Options.MutualTLS has AuthoritiesPEM and AuthorityIDs; give one of them")
	}
	e.MutualTLSCAs, e.MutualTLSMode, e.MutualTLSStaleCRL = m.AuthoritiesPEM+m.AuthorityIDs, string(m.Mode), m.StaleLists
	return nil
}

// agent makes the configuration of the agent that serves one endpoint.
func (o *Options) agent(e agent.Endpoint, events agent.Events) agent.Config {
	config := o.session()
	config.Endpoints, config.Events = []agent.Endpoint{e}, events
	return config
}

// session is the way to the server, and who we are.
func (o *Options) session() agent.Config {
	return agent.Config{
		Env:          os.Getenv, // https_proxy and its like, as for everything in Go
		Server:       firstOf(o.Server, os.Getenv("POSTERN_CONNECT_URL")),
		CAs:          os.Getenv("POSTERN_CONNECT_CAS"),
		Roots:        o.Roots,
		Authtoken:    postern.Secret(firstOf(o.Authtoken, os.Getenv("POSTERN_AUTHTOKEN"), os.Getenv("NGROK_AUTHTOKEN"))),
		Logger:       o.Logger,
		ClientType:   "postern-go",
		Version:      moduleVersion(),
		DrainTimeout: o.Drain,
	}
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
