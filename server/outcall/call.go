package outcall

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
)

// The bounds of one call.
const (
	MostTime      = 30 * time.Second
	MostRedirects = 100
	MostBody      = 1 << 20 // bytes of an answer, and of a request
)

// Call is a request to be made.
type Call struct {
	Account postern.AccountID
	Method  string // "" is GET
	URL     string // http or https
	Header  http.Header
	Body    []byte
	// Timeout is for all of it, redirects included: at most MostTime, which 0 stands for.
	Timeout time.Duration
	// Redirects is how many are followed: at most MostRedirects. If it is 0, an answer that
	// redirects is like any other.
	Redirects int
	// Most bounds the body of the answer, in bytes: at most MostBody, which 0 stands for.
	Most int64
	// Inside lets it go to internal endpoints; nil: to none.
	Inside *Inside
}

// Answer is what came back.
type Answer struct {
	URL    string     // that answered, after redirects
	Addr   netip.Addr // that answered; the zero value for an internal endpoint
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a call, and blocks until its answer is there. Errors, which whoever wrote the
// call may read, are CodeOutcallInvalid for a call that cannot be made at all,
// CodeOutcallRefused for an address that may not be called, CodeOutcallsBusy with too many
// under way, CodeOutcallFailed for whatever does not answer as it should, and what
// Endpoints say of internal endpoints.
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	target, err := parse(call.URL)
	if err != nil {
		return nil, err
	}
	if err := call.check(); err != nil {
		return nil, err
	}
	leave, err := c.enter(call.Account)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, orMost(call.Timeout, MostTime))
	defer cancel()
	return c.follow(ctx, newHop(target, call), call)
}

// follow makes requests until one is not answered by a redirect.
func (c *Client) follow(ctx context.Context, at hop, call Call) (*Answer, error) {
	for left := min(call.Redirects, MostRedirects); ; left-- {
		answer, err := c.request(ctx, at, orMost(call.Most, MostBody))
		if err != nil {
			return nil, err
		}
		location := answer.Header.Get("Location")
		if !redirects(answer.Status) || location == "" || call.Redirects <= 0 {
			return answer, nil
		}
		if left == 0 {
			return nil, postern.Errorf(postern.CodeOutcallFailed, "%s redirects more than %d times", at.host(), call.Redirects)
		}
		if at, err = at.next(answer.Status, location); err != nil {
			return nil, err
		}
	}
}

// request makes one request.
func (c *Client) request(ctx context.Context, at hop, most int64) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, at.method, at.target.String(), bytes.NewReader(at.body))
	if err != nil {
		return nil, postern.Errorf(postern.CodeOutcallInvalid, "%s cannot be called: %v", at.host(), err)
	}
	request.Header = at.header
	transport, err := c.transportFor(at)
	if err != nil {
		return nil, err
	}
	var reached netip.Addr
	request = request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if tcp, is := got.Conn.RemoteAddr().(*net.TCPAddr); is {
			reached = tcp.AddrPort().Addr().Unmap()
		}
	}}))
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, failure(at, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil, postern.Errorf(postern.CodeOutcallFailed, "%s switches to another protocol", at.host())
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, failure(at, err)
	}
	if int64(len(body)) > most {
		return nil, postern.Errorf(postern.CodeOutcallFailed, "the answer of %s is larger than %d bytes", at.host(), most)
	}
	return &Answer{URL: at.target.String(), Addr: reached, Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// failure says why there is no answer. What the network said is for the log alone: it may
// name addresses.
func failure(at hop, err error) *postern.Error {
	var own *postern.Error
	switch {
	case errors.As(err, &own): // of an internal endpoint
		return own
	case errors.Is(err, errForbidden):
		return postern.Errorf(postern.CodeOutcallRefused, "%s has no address that the server calls", at.host()).Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return postern.Errorf(postern.CodeOutcallFailed, "%s did not answer in time", at.host()).Because(err)
	case errors.Is(err, context.Canceled):
		return postern.Errorf(postern.CodeOutcallFailed, "the call of %s was given up", at.host()).Because(err)
	}
	return postern.Errorf(postern.CodeOutcallFailed, "%s does not answer as it should", at.host()).Because(err)
}

// orMost is a value of at most most, for which 0 stands.
func orMost[N ~int64](value, most N) N {
	if value <= 0 {
		return most
	}
	return min(value, most)
}
