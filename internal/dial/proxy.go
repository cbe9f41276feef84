package dial

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"github.com/postern-dev/postern"
)

// Proxy is where connections go through: an HTTP proxy that knows CONNECT, reached
// in the clear or over TLS, or a SOCKS5 proxy. Names are the proxy's to resolve.
type Proxy struct {
	Source string // what named it, e.g. "proxy_url" or "https_proxy"
	url    *url.URL
}

// String is the address for people: never with a password.
func (p *Proxy) String() string { return p.url.Redacted() }

// ParseProxy reads http://, https://, socks5:// or socks5h://[user:password@]host[:port].
// Without a scheme it is http. Errors are CodeConfigInvalid and do not quote a password.
func ParseProxy(source, text string) (*Proxy, error) {
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

// reach asks the proxy at the far end of conn for a connection to addr. On error conn
// is closed.
func (p *Proxy) reach(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	through, err := p.negotiate(ctx, conn, addr)
	if err != nil {
		_ = conn.Close() // the first error is the one that counts
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if _, coded := err.(*postern.Error); !coded {
			err = fmt.Errorf("through the proxy %s: %w", p, err)
		}
		return nil, err
	}
	return through, nil
}

func (p *Proxy) negotiate(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	switch p.url.Scheme {
	case "socks5", "socks5h":
		return conn, p.socks(ctx, conn, addr)
	case "https":
		secured := tls.Client(conn, &tls.Config{ServerName: p.url.Hostname(), NextProtos: []string{"http/1.1"}})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := p.connect(conn, addr)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

// connect does HTTP's CONNECT (RFC 9110 §9.3.6).
func (p *Proxy) connect(conn net.Conn, addr string) error {
	request := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: postern\r\n"
	if user := p.url.User; user != nil {
		password, _ := user.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	status, err := readAnswer(conn)
	switch {
	case err != nil:
		return err
	case status == http.StatusProxyAuthRequired:
		if p.url.User == nil {
			return p.refused("the proxy %s asks for a user and a password", p)
		}
		return p.refused("the proxy %s does not take this user and password", p)
	case status >= 500:
		return &ProxyAnswer{Status: status}
	case status < 200 || status > 299:
		return p.refused("the proxy %s answers %d %s to CONNECT %s", p, status, http.StatusText(status), addr)
	}
	return nil
}

// ProxyAnswer is an HTTP proxy's word that it cannot reach the server now.
type ProxyAnswer struct{ Status int }

// Error implements error.
func (a *ProxyAnswer) Error() string {
	return fmt.Sprintf("it answers %d %s to CONNECT", a.Status, http.StatusText(a.Status))
}

// mostAnswer bounds the head of a proxy's answer.
const mostAnswer = 16 << 10

// readAnswer reads an answer to CONNECT to the end of its head and not a byte further,
// since what follows is the server's: one byte at a time, a few hundred times in the
// life of a connection.
func readAnswer(r io.Reader) (status int, err error) {
	head := make([]byte, 0, 512)
	for !bytes.HasSuffix(head, []byte("\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == mostAnswer {
			return 0, fmt.Errorf("its answer has no end within %d bytes", mostAnswer)
		}
		head = append(head, 0)
		if _, err := io.ReadFull(r, head[len(head)-1:]); err != nil {
			return 0, fmt.Errorf("it did not answer: %w", err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return 0, errors.New("its answer is not HTTP")
	}
	if response.StatusCode < 100 {
		return 0, fmt.Errorf("its answer has the status %d", response.StatusCode)
	}
	_ = response.Body.Close() // of a CONNECT's answer there is none that we read
	return response.StatusCode, nil
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

func (p *Proxy) refused(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeProxyRefused, format, args...)
}

var (
	_ proxy.ContextDialer = connected{}
	_ error               = (*ProxyAnswer)(nil)
)
