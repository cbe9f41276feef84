package edge

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// try sends the request to one member. It implements forwarder.
func (x *webExchange) try(m route.Member) error {
	if m.Options().WebSocketTCP {
		return x.convert(m)
	}
	up, err := x.edge.upstreams.of(m)
	if err != nil {
		return &openError{err}
	}
	a := &attempt{x: x}
	ctx, cancel := context.WithCancel(context.WithValue(x.r.Context(), exchangeKey{}, x))
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn, Got1xxResponse: a.interim})
	out := x.outbound(ctx, up)
	x.upload.cancels(cancel)
	response, err := up.web(x.live).RoundTrip(out)
	a.headDone()
	if err != nil {
		return err
	}
	x.times.FirstByte = time.Now()
	defer x.closeUnlessJoined(response.Body)
	if namesPrivateConnection(response.Header["Www-Authenticate"]) {
		x.visitor.private.Store(true)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return x.upgrade(response, a.conn)
	}
	if response.StatusCode < http.StatusOK { // 000 to 099: no such thing
		return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service answered with status %03d", response.StatusCode)
	}
	if err := x.respond(response); err != nil {
		return err
	}
	a.ended()
	return nil
}

// closeUnlessJoined ends the service's side of an exchange that was not upgraded.
func (x *webExchange) closeUnlessJoined(body io.Closer) {
	if x.joined == nil {
		_ = body.Close()
	}
}

// attempt is what is noted while the transport has the request.
type attempt struct {
	x    *webExchange
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
		conn.asked.Store(conn.longest == 0)
		conn.busy.Add(1)
		a.conn = conn
		a.x.times.Opened = time.Now()
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
	if a.conn != nil {
		a.conn.asked.Store(false)
	}
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
func (x *webExchange) outbound(ctx context.Context, up *upstream) *http.Request {
	rewrite := either(up.member.Options().HostHeader, x.newHost())
	target, text := x.target()
	out := &http.Request{
		Method: x.r.Method,
		URL:    outboundURL(target, text, up.key(x.visitor)),
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
	x.giveBody(out, up)
	return out.WithContext(ctx)
}

// giveBody has out take the request's body along.
func (x *webExchange) giveBody(out *http.Request, up *upstream) {
	if x.hasBody() {
		out.Trailer = x.passingTrailers()
		if x.upload == nil {
			x.upload = x.newUpload()
		}
		x.upload.toMember(out.Trailer, up.member.Options().UpstreamProtocol == postern.HTTP2, up.member.Meter())
		out.Body, out.GetBody = x.upload, x.upload.again
	}
	if x.body != nil {
		out.Body, out.GetBody = x.body, x.body.again
		out.ContentLength = x.request.length
	}
	if out.Trailer != nil && out.ContentLength < 0 {
		out.TransferEncoding = []string{"chunked"} // else an empty body of a DELETE becomes none, and has no trailers
	}
}

func (x *webExchange) hasBody() bool {
	return x.r.ContentLength != 0 && x.r.Body != nil && x.r.Body != http.NoBody
}

// passingTrailers are the announced ones as followers have left them.
func (x *webExchange) passingTrailers() http.Header {
	if x.asked() {
		return maps.Clone(x.request.trailers)
	}
	return x.announcedTrailers()
}

// announcedTrailers are the names of the trailers that may pass; nil for none. What
// authenticates, frames or routes belongs into the head (RFC 9110 §6.5.1).
func (x *webExchange) announcedTrailers() http.Header {
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
func outboundURL(target *url.URL, text, key string) *url.URL {
	u := &url.URL{
		Scheme: "http", Host: key,
		Path: target.Path, RawPath: target.RawPath,
		RawQuery: target.RawQuery, ForceQuery: target.ForceQuery,
	}
	path, _, _ := strings.Cut(text, "?")
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
func (x *webExchange) translate(err error) error {
	if err == nil || verdictOf(err) != nil || isCode(err, postern.CodeEndpointOffline) {
		return err // which nobody behind us says
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
	return blame(err)
}

// blame gives a failure on the service's side its code.
func blame(err error) error {
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
