package trial

import (
	"cmp"
	"context"
	"crypto/tls"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// Case describes a visitor's connection, one request over it, and what the service would
// answer.
type Case struct {
	Name       string     `yaml:"name"`
	Connection Connection `yaml:"connection"`
	Request    *Request   `yaml:"request"`  // nil: the connection alone is judged
	Response   Response   `yaml:"response"` // of the service
	Now        time.Time  `yaml:"now"`      // zero: this moment
	Want       *Outcome   `yaml:"want"`     // nil: nothing is expected
}

// Connection describes a connection.
type Connection struct {
	Client string `yaml:"client"` // address and port; "" is 203.0.113.7:50000
	Server string `yaml:"server"` // "" is 198.51.100.1 and the scheme's port
	SNI    string `yaml:"server_name"`
}

// Request describes a request. URL is what the visitor typed.
type Request struct {
	Method  string            `yaml:"method"` // "" is GET
	URL     string            `yaml:"url"`
	Headers map[string]Values `yaml:"headers"`
	Body    string            `yaml:"body"`
}

// Response describes an answer. A status of 0 is 200.
type Response struct {
	Status  int               `yaml:"status"`
	Headers map[string]Values `yaml:"headers"`
	Body    string            `yaml:"body"`
	Repeat  int               `yaml:"repeat"` // how often Body stands there; 0 is once
}

// Text is the whole body.
func (r *Response) Text() string {
	if r.Body == "" {
		return ""
	}
	return strings.Repeat(r.Body, min(max(1, r.Repeat), mostBody/len(r.Body)+1))
}

// Values are those of one header: a text, or a list of them.
type Values []string

// UnmarshalYAML reads either.
func (v *Values) UnmarshalYAML(text []byte) error {
	var one string
	if err := yaml.Unmarshal(text, &one); err == nil {
		*v = Values{one}
		return nil
	}
	var all []string
	err := yaml.Unmarshal(text, &all)
	*v = all
	return err
}

// subject makes what an evaluation is of.
func (c *Case) subject(ctx context.Context, t policy.Target, e policy.Endpoint) (policy.Subject, error) {
	conn, err := c.Connection.facts(t, c.Now)
	if err != nil {
		return policy.Subject{}, err
	}
	return policy.Subject{
		Context: ctx, Connection: conn, Endpoint: e, Scheme: string(t.Scheme), Protocol: "HTTP/1.1", Started: c.Now,
	}, nil
}

// Check tells why a case cannot be run.
func (c *Case) Check() error {
	if c.Request == nil {
		return nil
	}
	_, err := c.Request.head()
	return err
}

func (r *Request) head() (*request, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "request.url: %q is not a whole URL, such as https://app.example.com/path", r.URL)
	}
	sent := newHead(r.Headers, r.Body)
	passing := newHead(r.Headers, r.Body)
	maps.DeleteFunc(passing.header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Postern-") }) // as the edge has it
	return &request{head: passing, sent: sent.header, method: cmp.Or(r.Method, http.MethodGet), host: u.Host, target: u.RequestURI()}, nil
}

func (r *Response) head() *response {
	return &response{head: newHead(r.Headers, r.Text()), status: cmp.Or(r.Status, http.StatusOK)}
}

// facts are the connection as policies see it.
type facts struct {
	peer, local netip.AddrPort
	began       time.Time
	tls         *tls.ConnectionState
}

func (c Connection) facts(t policy.Target, began time.Time) (*facts, error) {
	port := "443"
	if t.Scheme == postern.HTTP {
		port = "80"
	}
	f := &facts{began: began}
	var err error
	if f.peer, err = netip.ParseAddrPort(cmp.Or(c.Client, "203.0.113.7:50000")); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "connection.client: %q is not an address and a port", c.Client)
	}
	if f.local, err = netip.ParseAddrPort(cmp.Or(c.Server, "198.51.100.1:"+port)); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "connection.server: %q is not an address and a port", c.Server)
	}
	if t.Scheme == postern.HTTPS {
		f.tls = &tls.ConnectionState{Version: tls.VersionTLS13, ServerName: c.SNI, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	}
	return f, nil
}

// Client implements policy.Connection.
func (f *facts) Client() netip.Addr { return f.peer.Addr() }

// Peer implements policy.Connection.
func (f *facts) Peer() netip.AddrPort { return f.peer }

// Local implements policy.Connection.
func (f *facts) Local() netip.AddrPort { return f.local }

// Began implements policy.Connection.
func (f *facts) Began() time.Time { return f.began }

// TLS implements policy.Connection.
func (f *facts) TLS() *tls.ConnectionState { return f.tls }

// ServerName implements policy.Connection.
func (f *facts) ServerName() string {
	if f.tls == nil {
		return ""
	}
	return f.tls.ServerName
}

// ClientCertificate implements policy.Connection.
func (f *facts) ClientCertificate() *postern.ClientCertificate { return nil }

// Moved implements policy.Connection.
func (f *facts) Moved() (in, out int64) { return 0, 0 }

var _ policy.Connection = (*facts)(nil)
