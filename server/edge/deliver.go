package edge

import (
	"context"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
	"github.com/postern-dev/postern/server/route"
)

// serves implements forwarder.
func (c *conversation) serves(m route.Member) bool {
	o := m.Options()
	return o.UpstreamProtocol != postern.HTTP2 && !o.WebSocketTCP
}

// untouched implements forwarder.
func (c *conversation) untouched() bool { return !c.upload.started && !c.watch.isOver() }

// try sends the request to one member, over a pair that waits or a new one. A pair may
// have died meanwhile, of which nobody could tell us: then a request that may be
// repeated is, once, over a new one. It implements forwarder.
func (c *conversation) try(m route.Member) error {
	up, err := c.edge.upstreams.of(m)
	if err != nil {
		return &openError{err}
	}
	c.compose(up)
	key := up.pairKey(c.visitor)
	if conn := up.pairs.take(key); conn != nil {
		err := c.converseWith(borrowed{up, key, conn}, true)
		if err == nil || !c.repeatable(err) {
			return err
		}
	}
	conn, err := c.open(up, key)
	if err != nil {
		c.watch.end(nil)
		return err
	}
	return c.converseWith(borrowed{up, key, conn}, false)
}

// errNoAnswer is a pair that ended before the first byte of an answer.
var errNoAnswer = errors.New("the connection ended before an answer began")

// repeatable tells whether a request that a kept pair lost may be sent again: nothing
// was answered, the method is safe, and no body went with it.
func (c *conversation) repeatable(err error) bool {
	if !errors.Is(err, errNoAnswer) || c.request.Framing != http1.None || c.watch.isOver() {
		return false
	}
	switch string(c.request.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// open opens a new pair; the request travels with the opening.
func (c *conversation) open(up *upstream, key pairKey) (*upstreamConn, error) {
	ctx, cancel := context.WithCancel(c.edge.ctx)
	defer cancel()
	stop := c.watch.opening(cancel)
	pair, err := up.open(ctx, &c.x, c.out)
	stop()
	if err != nil {
		return nil, err
	}
	if key.isPrivate() {
		err = pair.own(c.visitor)
	}
	return pair, err
}

// borrowed is the pair that an exchange has, and where it belongs.
type borrowed struct {
	up   *upstream
	key  pairKey
	conn *upstreamConn // nil once it was given back
}

// converseWith sends the request over p and its answer to the visitor. kept tells that
// it was used before; a new one has been sent the request already.
func (c *conversation) converseWith(p borrowed, kept bool) error {
	conn := p.conn
	c.pair = p
	conn.busy.Store(1)
	c.watch.begin(conn)
	if c.followed.needs != 0 {
		c.x.times.Opened = time.Now()
		c.tapReady()
	}
	conn.asked.Store(true)
	if kept {
		// Why it failed, if it did, is told by the read that follows: an answer may have
		// come before the service stopped reading.
		_, _ = conn.ask(c.out)
	}
	c.upload.send(conn)
	err := c.readHead(conn)
	conn.asked.Store(false)
	if err == nil {
		err = c.reply(conn)
	}
	c.giveBack(false)
	c.answer.Release()
	return err
}

// giveBack ends the exchange's hold on its pair: it is kept for the next request where
// both messages ended by their own framing and nothing came behind the answer, else
// closed. delivered tells that all of the answer has come. Only the first call counts.
func (c *conversation) giveBack(delivered bool) {
	p := c.pair
	if p.conn == nil {
		return
	}
	c.pair.conn = nil
	c.watch.end(p.conn)
	complete := delivered && c.upload.done.Load() && !c.watch.isOver()
	if complete {
		p.conn.busy.Store(0)
	}
	if complete && c.response.Sound && c.answer.Len() == 0 {
		p.up.pairs.put(p.key, p.conn, time.Now())
	} else {
		_ = p.conn.Close()
	}
}

// compose writes the request anew, with what has come of its body.
func (c *conversation) compose(up *upstream) {
	request, keep := c.edit()
	edit := http1.RequestEdit{Keep: keep}
	if rewrite := either(up.options.HostHeader, c.x.newHost()); rewrite != "" {
		edit.Host = []byte(rewrite)
	}
	edit.Extra = c.trustedLines(edit.Host != nil)
	c.out = request.Append(c.out[:0], edit)
	c.out = append(c.out, c.upload.ready...)
	if c.upload.done.Load() && c.request.Framing == http1.Chunked {
		c.out = c.upload.chunks.AppendEnd(c.out)
	}
}

// keeps tells whether a visitor's line goes on to the service. X-Forwarded-For is
// always written anew.
func (c *conversation) keeps(l *http1.Line) bool {
	if l.Field == http1.ForwardedFor {
		return false
	}
	return c.settles(l)
}

// trustedLines are ours, as writeForwarded says them on the other path.
func (c *conversation) trustedLines(rewritten bool) []byte {
	lines := append(c.extra[:0], headerForwardedFor+": "...)
	if c.x.client.believed {
		lines = c.appendHops(lines)
	}
	lines = append(append(lines, c.peer...), "\r\n"...)
	if !c.given(http1.ForwardedProto) {
		lines = http1.AppendLine(lines, headerForwardedProto, c.x.Scheme())
	}
	if !c.given(http1.ForwardedHost) {
		lines = http1.AppendLine(lines, headerForwardedHost, c.request.Host)
	}
	if !c.given(http1.ForwardedPort) {
		lines = append(lines, headerForwardedPort+": "...)
		lines = appendPort(lines, c.edge.publicPort(postern.Scheme(c.x.Scheme())))
	}
	if rewritten {
		lines = http1.AppendLine(lines, headerOriginalHost, c.request.Host)
	}
	if shown := c.visitor.certified.Load(); shown != nil {
		lines = append(lines, shown.lines...)
	}
	c.extra = lines
	return lines
}

// appendHops writes what trusted proxies say about those before them.
func (c *conversation) appendHops(dst []byte) []byte {
	for i := range c.request.Lines {
		if l := &c.request.Lines[i]; l.Field == http1.ForwardedFor && !c.request.Nominated(l.Name) {
			dst = append(append(dst, l.Value...), ", "...)
		}
	}
	return dst
}

// given tells whether a trusted proxy has sent the line, and we keep it.
func (c *conversation) given(f http1.Field) bool {
	if !c.x.client.believed || !c.request.Has(f) {
		return false
	}
	for i := range c.request.Lines {
		if l := &c.request.Lines[i]; l.Field == f && !c.request.Nominated(l.Name) {
			return true
		}
	}
	return false
}

// translate finds out whose failure it was, as webExchange.translate does.
func (c *conversation) translate(err error) error {
	if err == nil || errors.Is(err, errOtherPath) || isCode(err, postern.CodeEndpointOffline) {
		return err
	}
	if verdictOf(err) != nil {
		return err
	}
	if why := c.watch.reason(); why != nil {
		return why
	}
	return blame(err)
}

var _ forwarder = (*conversation)(nil)
