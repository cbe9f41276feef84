package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// version is that of the API which this client speaks.
const version = "2"

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 32 << 20 // a page of the largest resources is smaller
)

// Options say which API to use, and how. URL and APIKey are required.
type Options struct {
	URL    string // "https://api.example.com", with a port where it has one
	APIKey postern.Secret

	// HTTP sends the requests; nil is a client of its own that trusts this system's
	// certificate authorities and gives up after 30 seconds.
	HTTP *http.Client

	UserAgent string // empty is "postern-client"
}

// Client uses one API with one key. It may be used concurrently.
type Client struct {
	base      *url.URL
	key       postern.Secret
	http      *http.Client
	userAgent string
}

// New makes a client. It sends nothing.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the API's address %q must be https://host[:port]", o.URL)
	}
	if path := strings.TrimSuffix(base.Path, "/"); path != "" || base.RawQuery != "" {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the API's address %q must have no path: the API is at the root of its host", o.URL)
	}
	if o.APIKey == "" {
		return nil, &postern.Error{Code: postern.CodeKeyMissing}
	}
	c := &Client{base: base, key: o.APIKey, http: o.HTTP, userAgent: o.UserAgent}
	if c.http == nil {
		c.http = &http.Client{Timeout: defaultTimeout}
	}
	if c.userAgent == "" {
		c.userAgent = "postern-client"
	}
	return c, nil
}

// Call sends a request to a path, or to an address that the API itself has given, and
// reads the answer into answer, a pointer; nil for either body means none. It returns an
// *Error where the API refused.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	at, err := c.address(path)
	if err != nil {
		return err
	}
	r, err := c.request(ctx, method, at, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "%s cannot be reached: %v", c.base, withoutURL(err)).Because(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "the answer of %s did not come whole", c.base).Because(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return refusal(response, text)
	}
	if answer == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return postern.Errorf(postern.CodeAPIUnreachable, "the answer of %s cannot be read; is it a Postern API?", c.base).Because(err)
	}
	return nil
}

// address resolves a path, and keeps to the host that was configured: the key is for it
// alone.
func (c *Client) address(path string) (*url.URL, error) {
	at, err := c.base.Parse(path)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "%q is not a path of the API", path)
	}
	if at.Host != c.base.Host || at.Scheme != c.base.Scheme {
		return nil, postern.Errorf(postern.CodeAPIUnreachable, "%s points to another host, %s; the API key is not sent there", c.base, at.Host)
	}
	return at, nil
}

func (c *Client) request(ctx context.Context, method string, at *url.URL, body any) (*http.Request, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, at.String(), content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	r.Header.Set("Ngrok-Version", version)
	r.Header.Set("User-Agent", c.userAgent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// withoutURL is what went wrong, without the address that the caller knows.
func withoutURL(err error) error {
	if failed, is := errors.AsType[*url.Error](err); is {
		return failed.Err
	}
	return err
}
