package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// general is the forwarder for every kind of request, on net/http's transport.
type general struct{ edge *Edge }

// mostTries bounds how many members of a pool one request is offered to.
const mostTries = 16

// forward sends the request to a member of its route and its answer to the visitor.
// Another member is tried only where nothing of the request can have been read.
func (g general) forward(x *exchange) error {
	if x.r.ProtoMajor == 1 {
		// The service may answer while the visitor still sends; without this net/http
		// would read the visitor's body for itself before it lets an answer through.
		_ = x.control.EnableFullDuplex()
	}
	if namesPrivateConnection(x.r.Header["Authorization"]) {
		x.visitor.private.Store(true)
	}
	var tried []postern.EndpointID
	var failed error
	for range mostTries {
		m, err := x.route.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m.ID()) })
		if err != nil {
			break
		}
		end := m.Begin()
		failed = g.try(x, m)
		end(reachable(failed))
		if failed == nil || !x.mayTryAnother(failed) {
			return x.translate(failed)
		}
		tried = append(tried, m.ID())
	}
	if failed != nil {
		return x.translate(failed)
	}
	return offline(x.host)
}

// mayTryAnother tells whether the request is still whole and unseen.
func (x *exchange) mayTryAnother(err error) bool {
	var opening *openError
	unseen := errors.As(err, &opening) || isCode(err, postern.CodeStreamRefused)
	untouched := x.upload == nil || !x.upload.touched.Load()
	return unseen && untouched && x.r.Context().Err() == nil
}

// try sends the request to one member.
func (g general) try(x *exchange, m route.Member) error {
	x.member = m.ID()
	up, err := g.edge.upstreams.of(m)
	if err != nil {
		return &openError{err}
	}
	a := &attempt{x: x}
	ctx, cancel := context.WithCancel(context.WithValue(x.r.Context(), exchangeKey{}, x))
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn, Got1xxResponse: a.interim})
	response, err := up.transport.RoundTrip(x.outbound(ctx, up))
	a.headDone()
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if namesPrivateConnection(response.Header["Www-Authenticate"]) {
		x.visitor.private.Store(true)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return x.upgrade(response, a.conn)
	}
	if response.StatusCode < http.StatusOK { // 000 to 099: no such thing
		return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service answered with status %03d", response.StatusCode)
	}
	x.respond(response)
	a.ended()
	return nil
}

// attempt is what is noted while the transport has the request.
type attempt struct {
	x    *exchange
	conn *upstreamConn

	mu       sync.Mutex
	over     bool // the final head has come, or never will
	interims int
}

// mostInterims bounds the 1xx answers to one request; none that is known needs more
// than one for each step of its work.
const mostInterims = 1000

// gotConn is called by the transport, again when it repeats a request that a kept
// connection lost before anything of it was sent.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	if conn, ok := info.Conn.(*upstreamConn); ok {
		if info.Reused {
			conn.settle()
		}
		conn.busy.Add(1)
		a.conn = conn
	}
}

// ended notes that both messages ended by their own framing.
func (a *attempt) ended() {
	if a.conn != nil && a.x.upload.complete() {
		a.conn.busy.Add(-1)
	}
}

func (a *attempt) headDone() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// interim passes 1xx answers on. The transport's goroutine calls it, possibly after
// RoundTrip has given up, when the writer is no longer ours to use.
func (a *attempt) interim(code int, header textproto.MIMEHeader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.x
	if a.interims++; a.interims > mostInterims {
		return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service sent more than %d interim answers", mostInterims)
	}
	if a.over || !x.r.ProtoAtLeast(1, 1) {
		return nil // HTTP/1.0 knows no 1xx (RFC 9110 §15.2)
	}
	if code == http.StatusContinue && !strings.EqualFold(x.r.Header.Get("Expect"), "100-continue") {
		return nil
	}
	h := x.w.Header()
	before := make([]string, 0, len(h))
	for name := range h {
		before = append(before, name)
	}
	added := http.Header(header)
	removeHopByHop(added, added["Connection"])
	for name, values := range added {
		if !slices.Contains(before, name) {
			h[name] = values
		}
	}
	x.w.WriteHeader(code)
	for name := range added {
		if !slices.Contains(before, name) {
			delete(h, name)
		}
	}
	return nil
}

// outbound writes the request anew for the service.
func (x *exchange) outbound(ctx context.Context, up *upstream) *http.Request {
	rewrite := up.member.Options().HostHeader
	out := &http.Request{
		Method: x.r.Method,
		URL:    outboundURL(x.r, up.key(x.visitor)),
		Host:   either(rewrite, x.r.Host),
		Header: x.outboundHeader(rewrite),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: x.r.ContentLength,
	}
	if x.r.ProtoMajor == 1 {
		if protocol := upgradeOf(x.r.Header); protocol != "" {
			out.Header["Connection"] = []string{"Upgrade"}
			out.Header["Upgrade"] = []string{protocol}
		}
	}
	if x.r.ContentLength != 0 && x.r.Body != nil && x.r.Body != http.NoBody {
		out.Trailer = x.announcedTrailers()
		if x.upload == nil {
			x.upload = x.newUpload(out.Trailer, up.member.Options().UpstreamProtocol == postern.HTTP2)
		}
		x.upload.declared = out.Trailer
		out.Body, out.GetBody = x.upload, x.upload.again
	}
	return out.WithContext(ctx)
}

// announcedTrailers are the names of the trailers that may pass; nil for none. What
// authenticates, frames or routes belongs into the head (RFC 9110 §6.5.1).
func (x *exchange) announcedTrailers() http.Header {
	var out http.Header
	for name := range x.r.Trailer {
		if mayPass(name, false) && httpguts.ValidTrailerHeader(name) && !slices.Contains(hopByHop[:], name) {
			if out == nil {
				out = make(http.Header)
			}
			out[name] = nil
		}
	}
	return out
}

// outboundURL keeps the target byte for byte as the visitor sent it. key takes the
// place of the host, see upstream.key.
func outboundURL(r *http.Request, key string) *url.URL {
	u := &url.URL{
		Scheme: "http", Host: key,
		Path: r.URL.Path, RawPath: r.URL.RawPath,
		RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && path != u.EscapedPath() {
		u.Opaque = path // what url.URL would escape in another way
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u
}

// translate finds out whose failure it was, and gives it a code that tells a visitor
// nothing about private addresses.
func (x *exchange) translate(err error) error {
	if err == nil {
		return nil
	}
	if x.upload != nil {
		if failure := x.upload.failed(); failure != nil {
			if failure.Code == postern.CodeStreamReset {
				return errVisitorGone
			}
			return failure
		}
	}
	if x.r.Context().Err() != nil {
		return errVisitorGone
	}
	var coded *postern.Error
	if errors.As(err, &coded) {
		return (&postern.Error{Code: coded.Code}).Because(err)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return (&postern.Error{Code: postern.CodeUpstreamTimeout}).Because(err)
	}
	return (&postern.Error{Code: postern.CodeUpstreamInvalidResponse}).Because(err)
}

// broken tells a visitor's connection that has ended from a body that is malformed.
func broken(err error) bool {
	var op net.Error
	return errors.As(err, &op) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, http.ErrBodyReadAfterClose)
}

var _ forwarder = general{}
