package edge

import (
	"context"
	"io"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// followed is what a conversation keeps for those who look at its exchanges; all of it is
// zero where nobody does.
type followed struct {
	needs    Needs
	request  http1.Request // as followers have edited it
	edited   bool
	tap      [2]func(b []byte) // by direction
	readyWas bool              // what came with the head was shown

	ctx    context.Context // of the exchange, where somebody asked
	cancel context.CancelFunc
}

// begin chooses the path, and shows the request to the followers. An error is errOtherPath
// or a *verdict.
func (c *conversation) beginFollowed() error {
	f := &c.followed
	f.edited, f.readyWas = false, false
	f.needs = c.x.live.planFor(c.x.route).needs
	if f.needs&(NeedHead|NeedBytes) == 0 {
		return nil
	}
	if f.needs&NeedChange != 0 || c.x.elsewhere(c) {
		return errOtherPath
	}
	c.x.follow()
	if f.needs&NeedBytes != 0 && f.tap[Upload] == nil {
		f.tap[Upload] = func(b []byte) { c.x.tap(Upload, b) }
		f.tap[Download] = func(b []byte) { c.x.tap(Download, b) }
	}
	if f.needs&NeedHead == 0 {
		return c.x.ask()
	}
	f.edited = true
	f.request.Copy(&c.request)
	f.request.SpellPragma()
	f.request.Settle(c.settles)
	c.x.request = Request{
		Message: Message{
			fields: lineFields{&f.request.Head}, length: c.request.BodyLength(), refuses: EditableRequestHeader,
		},
		sent: c, method: c.method(), host: c.hostSent, target: string(c.request.Target),
	}
	err := c.x.ask()
	c.endLooking()
	if c.x.request.rewritten {
		f.request.Target = []byte(c.x.request.target)
	}
	if c.watch.reason() != nil {
		return errVisitorGone
	}
	return err
}

// settles tells whether followers see a visitor's line, and it goes on if they leave it.
func (c *conversation) settles(l *http1.Line) bool {
	if c.visitor.certified.Load() != nil && namesCertificate(l.Name) {
		return false // also of a trusted proxy: whom it has seen is not whom we have
	}
	return mayPass(l.Name, c.x.client.believed)
}

// keepEdited is keeps for a head that was settled before: what is in it may pass.
func keepEdited(l *http1.Line) bool { return l.Field != http1.ForwardedFor }

// edit gives the request that is sent on, and which lines of it are.
func (c *conversation) edit() (*http1.Request, func(*http1.Line) bool) {
	if c.followed.edited {
		return &c.followed.request, keepEdited
	}
	return &c.request, c.keepLine
}

// context implements requestHead. While a follower has the request, it is watched whether
// the visitor leaves.
func (c *conversation) context() context.Context {
	f := &c.followed
	if f.ctx == nil {
		f.ctx, f.cancel = context.WithCancel(c.edge.ctx)
		if c.pair.conn == nil {
			c.watch.opening(f.cancel)
		}
	}
	return f.ctx
}

// endLooking ends what context has begun, but the context.
func (c *conversation) endLooking() {
	if c.followed.ctx != nil {
		c.watch.end(nil)
		c.watch.over()
	}
}

// endFollowed ends what the last exchange left.
func (c *conversation) endFollowed() {
	f := &c.followed
	if f.cancel != nil {
		f.cancel()
	}
	f.ctx, f.cancel, f.edited, f.readyWas, f.needs = nil, nil, false, false, 0
}

// tapReady shows what came with the head of the request's body, and sees to it that the
// rest is shown.
func (c *conversation) tapReady() {
	u := &c.upload
	tap := c.tapOf(Upload)
	if tap == nil || c.followed.readyWas {
		return
	}
	c.followed.readyWas = true
	if u.framing == http1.Chunked {
		again := http1.Chunks{Sink: tap}
		_, _, _, _ = again.Feed(u.ready) // it was fed before, without an error
		u.chunks.Sink = tap
		return
	}
	tap(u.ready)
	u.tap = tap
}

// tapOf is whom bytes of a body are shown to, nil for nobody.
func (c *conversation) tapOf(d Direction) func(b []byte) {
	if c.followed.needs&NeedBytes == 0 {
		return nil
	}
	return c.followed.tap[d]
}

// review shows the service's answer to the followers. An error is a *verdict, and nothing
// was sent.
func (c *conversation) review() error {
	if c.followed.needs&NeedHead == 0 {
		return c.x.tapFailure()
	}
	r := &c.response
	r.SpellPragma()
	r.Settle(nil)
	c.x.response = Response{
		Message: Message{fields: lineFields{&r.Head}, length: r.BodyLength(), refuses: EditableResponseHeader, sealed: true},
		status:  r.Code,
	}
	v := c.x.review(len(c.x.followers))
	c.x.response.fields = nil
	if v != nil {
		return v
	}
	return c.x.tapFailure()
}

// conclude answers a request that was not answered by the service.
func (c *conversation) conclude(err error) {
	v := verdictOf(err)
	if v == nil {
		c.fail(err)
		return
	}
	v = c.x.reviewAnswer(v)
	var text []byte
	if v == nil && c.x.response.body != nil {
		if text, err = io.ReadAll(c.x.response.body); err != nil { // a Tap panicked
			v = &verdict{err: err}
		}
	}
	switch {
	case v == nil:
		if !c.upload.complete() {
			c.lastWords()
		}
		c.say(c.x.response.status, c.x.answerLines(), text)
	case v.hangsUp():
		c.cutOff(&postern.Error{Code: postern.CodeHungUp})
	default:
		c.fail(v.failure())
	}
}
