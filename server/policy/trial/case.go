package trial

import (
	"cmp"
	"context"
	"maps"
	"net/http"
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
	// TLS is the newest version that the visitor speaks, "1.2" or "1.3"; "" is that.
	TLS string `yaml:"tls_version"`
	// Certificate is what the visitor shows where it is asked for one: PEM, its own first.
	Certificate string `yaml:"client_certificate"`
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
		Context: ctx, Connection: conn, Endpoint: e, Scheme: string(t.Scheme), Protocol: "HTTP/1.1", Started: c.Now, EndTLS: conn.endTLS,
	}, nil
}

// endpoint is the one that the case's request comes to, at its scheme's own port.
func (c *Case) endpoint(t policy.Target) policy.Endpoint {
	e := policy.Endpoint{ID: "ep_trial", URL: postern.URL{Scheme: t.Scheme}, Account: "ac_trial", Region: "local"}
	if c.Request == nil {
		return e
	}
	if u, err := url.Parse(c.Request.URL); err == nil {
		e.URL.Host = postern.Hostname(strings.ToLower(u.Hostname()))
		e.Public = e.URL.String()
	}
	return e
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
