package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"github.com/postern-dev/postern"
)

// Proxy is where connections go through: an HTTP proxy that knows CONNECT, reached
// in the clear or over TLS, or a SOCKS5 proxy. Names are the proxy's to resolve. Users
// are proved with Basic, or with NTLM where an HTTP proxy wants that.
type Proxy struct {
	Source string         // what named it, e.g. "proxy_url" or "https_proxy"
	Roots  *x509.CertPool // who may vouch for one that is reached over TLS, beside this system; nil: nobody else
	url    *url.URL
}

// String is the address for people: never with a password.
func (p *Proxy) String() string { return p.url.Redacted() }

// ParseProxy reads http://, https://, socks5:// or socks5h://[user:password@]host[:port].
// Without a scheme it is http. A user of a Windows domain is written DOMAIN\\user. Errors
// are CodeConfigInvalid and do not quote a password.
func ParseProxy(source, text string) (*Proxy, error) {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		text = strings.ReplaceAll(text[:at], `\`, "%5C") + text[at:]
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		u, err = url.Parse("http://" + text)
	}
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"%s is not the address of a proxy; write http://host:port or socks5://host:port, with user:password@ before the host where the proxy asks for them", source)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return &Proxy{Source: source, url: u}, nil
	}
	return nil, postern.Errorf(postern.CodeConfigInvalid, "%s has the scheme %q; proxies are http, https, socks5 or socks5h", source, u.Scheme)
}

// ProxyFromEnvironment gives the proxy that the environment names for addr,
// "host:port", and nil for none. It reads https_proxy, http_proxy and all_proxy, the
// first that is set, and no_proxy, in small letters or capitals; loopback addresses and
// localhost never go through a proxy. Errors are CodeConfigInvalid.
func ProxyFromEnvironment(env func(string) string, addr string) (*Proxy, error) {
	for _, pair := range [...][2]string{{"https_proxy", "HTTPS_PROXY"}, {"http_proxy", "HTTP_PROXY"}, {"all_proxy", "ALL_PROXY"}} {
		for _, name := range pair {
			text := env(name)
			if text == "" {
				continue
			}
			parsed, err := ParseProxy(name, text)
			if err != nil {
				return nil, err
			}
			rules := httpproxy.Config{HTTPSProxy: text, NoProxy: cmp.Or(env("no_proxy"), env("NO_PROXY"))}
			if used, err := rules.ProxyFunc()(&url.URL{Scheme: "https", Host: addr}); err != nil || used == nil {
				return nil, nil
			}
			return parsed, nil
		}
	}
	return nil, nil
}

// addr is where the proxy listens.
func (p *Proxy) addr() string {
	port := p.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.url.Scheme]
	}
	return net.JoinHostPort(p.url.Hostname(), cmp.Or(port, "1080"))
}

// reach makes a connection to addr through the proxy, which dial connects to.
func (p *Proxy) reach(ctx context.Context, dial func(context.Context) (net.Conn, error), addr string) (net.Conn, error) {
	scheme := p.firstScheme()
	for {
		conn, err := dial(ctx)
		if err != nil {
			return nil, fmt.Errorf("the proxy %s cannot be reached: %w", p, err)
		}
		through, err := p.negotiate(ctx, conn, addr, scheme)
		if err == nil {
			return through, nil
		}
		_ = conn.Close() // the first error is the one that counts
		if ctx.Err() != nil {
			return nil, fmt.Errorf("through the proxy %s: %w", p, context.Cause(ctx))
		}
		if anew, ok := err.(*askAnew); ok && scheme == basic {
			scheme = anew.scheme
			continue
		}
		if _, coded := err.(*postern.Error); !coded {
			err = fmt.Errorf("through the proxy %s: %w", p, err)
		}
		return nil, err
	}
}

func (p *Proxy) negotiate(ctx context.Context, conn net.Conn, addr, scheme string) (net.Conn, error) {
	switch p.url.Scheme {
	case "socks5", "socks5h":
		return conn, p.socks(ctx, conn, addr)
	case "https":
		secured := tls.Client(conn, &tls.Config{
			ServerName: p.url.Hostname(), NextProtos: []string{"http/1.1"},
			InsecureSkipVerify: true, // VerifyConnection does it, with two pools
			VerifyConnection:   p.verify,
		})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := p.connect(conn, addr, scheme)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

// verify checks the chain of an https proxy against this system's authorities, and
// those of Roots.
func (p *Proxy) verify(state tls.ConnectionState) error {
	var failed error
	for _, roots := range []*x509.CertPool{nil, p.Roots} {
		options := x509.VerifyOptions{DNSName: p.url.Hostname(), Roots: roots, Intermediates: x509.NewCertPool()}
		for _, certificate := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(certificate)
		}
		if _, failed = state.PeerCertificates[0].Verify(options); failed == nil || p.Roots == nil {
			break
		}
	}
	if failed != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: failed}
	}
	return nil
}

// socks does RFC 1928, and RFC 1929 where there is a user.
func (p *Proxy) socks(ctx context.Context, conn net.Conn, addr string) error {
	var auth *proxy.Auth
	if user := p.url.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	made, err := proxy.SOCKS5("tcp", p.addr(), auth, connected{conn})
	if err != nil {
		return err
	}
	_, err = made.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	return err
}

// connected is a dialer for a connection that is there already.
type connected struct{ conn net.Conn }

func (c connected) Dial(string, string) (net.Conn, error) { return c.conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.conn, nil }

// Interface guard.
var _ proxy.ContextDialer = connected{}
