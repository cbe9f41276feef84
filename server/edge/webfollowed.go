package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// beginFollowed shows the request to the followers. An error is a *verdict.
func (x *webExchange) beginFollowed() error {
	needs := x.live.planFor(x.route).needs
	x.edited, x.body, x.request = nil, nil, Request{}
	if needs&(NeedHead|NeedBytes) == 0 {
		return nil
	}
	x.follow()
	x.edited = x.passingHeader()
	x.request = Request{
		Message: Message{fields: mapFields(x.edited), length: x.r.ContentLength, refuses: EditableRequestHeader},
		sent:    x, method: x.r.Method, host: x.r.Host, target: x.r.RequestURI, trailers: x.announcedTrailers(),
	}
	if needs&(NeedBytes|NeedChange) != 0 && x.hasBody() {
		if x.upload == nil {
			x.upload = x.newUpload()
		}
		x.request.body = x.upload
	}
	err := x.ask()
	if x.r.Context().Err() != nil {
		return errVisitorGone
	}
	if body := x.request.body; body != nil && err == nil {
		x.body = &followedBody{Reader: body, upload: x.upload}
	}
	return err
}

// followedBody is a request's body as followers have left it.
type followedBody struct {
	io.Reader
	upload  *upload // nil where the visitor sent none
	touched atomic.Bool
}

// Read implements io.Reader for the transport.
func (b *followedBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.Reader.Read(p)
}

// Close implements io.Closer for the transport.
func (b *followedBody) Close() error { return nil }

// again is upload.again for it.
func (b *followedBody) again() (io.ReadCloser, error) {
	if b.touched.Load() || b.upload != nil && b.upload.touched.Load() {
		return nil, errUploadTouched
	}
	return b, nil
}

// life is the context of an exchange, made when somebody asks for it. net/http's own ends
// when the handler returns, which after a switch is not the end.
type life struct {
	once   sync.Once
	ctx    context.Context
	end    context.CancelFunc
	detach func() bool // from net/http's
}

// context implements requestHead.
func (x *webExchange) context() context.Context {
	l := &x.life
	l.once.Do(func() {
		of := x.r.Context()
		l.ctx, l.end = context.WithCancel(context.WithoutCancel(of))
		l.detach = context.AfterFunc(of, l.end)
	})
	return l.ctx
}

// detach lets the context outlive the handler, whose own has not ended yet.
func (x *webExchange) detach() {
	if x.life.detach != nil {
		x.life.detach()
	}
}

// leaveContext ends the context with the exchange.
func (x *webExchange) leaveContext() {
	if x.life.end != nil {
		x.life.end()
	}
}

// target is what is asked for, as URL and as text.
func (x *webExchange) target() (*url.URL, string) {
	if x.request.rewritten {
		if u, err := url.ParseRequestURI(x.request.target); err == nil { // SetTarget has checked it
			return u, x.request.target
		}
	}
	return x.r.URL, x.r.RequestURI
}

// review shows the service's answer to the followers, who may edit response's head and
// replace its body. An error is a *verdict, and nothing was sent.
func (x *webExchange) review(response *http.Response) error {
	if len(x.followers) == 0 || !x.asked() {
		return nil
	}
	x.response = Response{
		Message: Message{fields: mapFields(response.Header), length: response.ContentLength, refuses: EditableResponseHeader},
		status:  response.StatusCode,
	}
	m := &x.response.Message
	if m.empty = bodiless(x.r.Method, response.StatusCode); m.empty {
		m.length = 0
	} else {
		m.body = response.Body
	}
	v := x.Exchange.review(len(x.followers))
	m.fields = nil
	if v != nil {
		return v
	}
	if m.body != nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{m.body, response.Body}
	}
	if m.changed && (!m.empty || !bodiless("", response.StatusCode)) {
		response.ContentLength = m.length
		delete(response.Header, "Content-Length")
		if m.length >= 0 {
			response.Header["Content-Length"] = []string{strconv.FormatInt(m.length, 10)}
		}
	}
	return nil
}

// asked tells whether the followers were shown the request.
func (x *webExchange) asked() bool { return x.edited != nil }

// conclude answers a request that was not answered by the service.
func (x *webExchange) conclude(err error) {
	if errors.Is(err, errVisitorGone) {
		x.abort(&postern.Error{Code: postern.CodeStreamReset})
	}
	v := verdictOf(err)
	if v == nil {
		x.fail(postern.AsError(err))
		return
	}
	switch v = x.reviewAnswer(v); {
	case v == nil:
		x.answer()
	case v.hangsUp():
		x.abort(&postern.Error{Code: postern.CodeHungUp})
	default:
		x.fail(v.failure())
	}
}

// answer sends what followers answered.
func (x *webExchange) answer() {
	w := x.w.Header()
	w["Content-Type"] = nil // else net/http would guess one
	for _, line := range x.answerLines() {
		w[line.name] = append(w[line.name], line.value)
	}
	x.closeUnlessComplete()
	x.status = x.response.status
	x.w.WriteHeader(x.status)
	if x.response.body != nil {
		x.copyBody(x.response.body, x.response.length)
	}
}
