package edge

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/http1"
)

// conversation is a visitor's HTTP/1.1 connection on the relay: one request after the
// other, each an exchange. All of it belongs to one goroutine but what watch.go says.
//
// What the relay does not do (upgrades, HTTP/1.0, a service that speaks HTTP/2, …) goes
// to net/http, and the connection with it, before anything of the request was used.
type conversation struct {
	edge     *Edge
	visitor  *visitor
	conn     relay.Conn // the visitor, or TLS on top
	front    *front     // where the connection goes that we cannot serve
	timeouts Timeouts   // of the time when it began
	peer     string     // the visitor's address

	state     atomic.Int32
	readUntil time.Time // the read deadline that is set
	served    int       // requests so far
	afterPost bool

	in       http1.Buffer // from the visitor; the request's head stays in it until the end
	request  http1.Request
	out      []byte // what is sent next
	extra    []byte // lines of our own
	keepLine func(*http1.Line) bool

	beginFollowing func() error
	ending         bool // this exchange is the last

	hostSent string // the Host of the last request, and what it means
	hostName postern.Hostname

	x        Exchange
	followed followed

	upload       sending
	response     http1.Response
	responseSize int          // of its head
	answer       http1.Buffer // from the service
	pair         borrowed
	watch        watch
	parting      *parting // nil before the first body that came in parts
}

// What a conversation is doing, for Shutdown.
const (
	fresh   int32 = iota // no request has come yet
	waiting              // for the next request
	serving
)

// converse serves visitors of HTTP/1.1 endpoints. It owns v; conn is v or stands on it.
func (e *Edge) converse(v *visitor, conn relay.Conn) {
	front := e.front()
	if e.config.NetHTTPOnly {
		front.web.takeHTTP1(v, conn)
		return
	}
	c := &conversation{
		edge: e, visitor: v, conn: conn, front: front.web, timeouts: front.timeouts, peer: v.client.Addr().String(),
	}
	c.keepLine, c.beginFollowing = c.keeps, c.beginFollowed
	c.watch.init(c)
	if !e.enterConversation(c) {
		_ = v.Close()
		return
	}
	defer e.leaveConversation(c)
	defer c.recover()
	_ = v.SetWriteDeadline(time.Time{})
	v.writes.hold(e.live.Load().pace())
	handedOver := false
	for goOn := true; goOn && !handedOver; {
		size, ok := c.next()
		if !ok {
			break
		}
		goOn, handedOver = c.serve(size)
	}
	if !handedOver {
		_ = conn.Close()
		_ = v.Close() // where TLS could not say goodbye
	}
	c.in.Release()
	c.answer.Release()
}

// recover keeps a mistake of ours from ending everybody's connections.
func (c *conversation) recover() {
	if problem := recover(); problem != nil {
		c.edge.logger.ErrorContext(c.edge.ctx, "a request ended in a panic", "panic", problem, "stack", string(debug.Stack()))
		c.visitor.abort(&postern.Error{Code: postern.CodeInternal})
		c.giveBack(false)
		c.x.visit.Leave()
	}
}

// What a connection that waits may hold of the memory that its last exchange needed.
const (
	mostKeptBytes = 8 << 10
	mostKeptLines = 64
)

// trim gives up what an ordinary exchange does not need.
func (c *conversation) trim() {
	c.in.Shrink()
	if cap(c.out) > mostKeptBytes {
		c.out = nil
	}
	if cap(c.request.Lines) > mostKeptLines {
		c.request.Lines = nil
	}
	if cap(c.response.Lines) > mostKeptLines {
		c.response.Lines = nil
	}
}

// next waits for a request, and gives the length of its head.
func (c *conversation) next() (size int, ok bool) {
	if c.served == 0 {
		c.readWithin(c.timeouts.RequestHeader)
	} else {
		c.trim()
	}
	for c.in.Len() == 0 {
		if !c.wait() {
			return 0, false
		}
		if c.afterPost {
			// Old programs send an empty line behind a body (RFC 9112 §2.2).
			c.afterPost = false
			if bytes.HasPrefix(c.in.Unread(), []byte("\r\n")) {
				c.in.Discard(2)
			}
		}
	}
	most := c.edge.config.Limits.HeaderBytes
	for from := 0; ; {
		unread := c.in.Unread()
		if size = http1.End(unread, from); size >= 0 && size <= most {
			c.served++
			return size, true
		}
		if size > most || len(unread) > most {
			c.begin()
			c.request = http1.Request{Head: http1.Head{Lines: c.request.Lines[:0]}}
			c.refuse(http1.TooLarge(most))
			return 0, false
		}
		if from == 0 && c.served > 0 {
			c.readWithin(c.timeouts.RequestHeader) // from its first byte
		}
		from = len(unread)
		if _, err := c.in.Fill(c.conn, most+1<<10); err != nil {
			return 0, false
		}
	}
}

// wait waits for the first bytes of a request.
func (c *conversation) wait() bool {
	if c.served > 0 {
		c.readAtLeast(c.timeouts.Idle)
		c.state.Store(waiting)
	}
	if c.edge.draining.Load() && c.served > 0 {
		return false
	}
	_, err := c.in.Fill(c.conn, c.edge.config.Limits.HeaderBytes)
	c.state.Store(serving)
	return err == nil
}

// readWithin sets the deadline of the next reads.
func (c *conversation) readWithin(d time.Duration) {
	c.readUntil = time.Now().Add(d)
	_ = c.conn.SetReadDeadline(c.readUntil)
}

// readAtLeast sets a deadline that leaves the next read d or a little more: one that
// is late enough is left alone, since moving it costs as much as a small read.
func (c *conversation) readAtLeast(d time.Duration) {
	now := time.Now()
	if left := c.readUntil.Sub(now); left < d || left > 2*d {
		c.readUntil = now.Add(d + d/4)
		_ = c.conn.SetReadDeadline(c.readUntil)
	}
}

// begin starts an exchange.
func (c *conversation) begin() {
	c.x = Exchange{
		edge: c.edge, live: c.edge.live.Load(), visitor: c.visitor, head: c, times: Times{Started: time.Now()},
		followers: c.x.followers[:0],
	}
	c.ending = false
	c.watch.reset()
}

// serve answers the request whose head is the first size bytes. goOn tells whether
// another one may follow.
func (c *conversation) serve(size int) (goOn, handedOver bool) {
	c.begin()
	limits := http1.Limits{Bytes: c.edge.config.Limits.HeaderBytes, Lines: c.edge.config.Limits.HeaderCount}
	if err := c.request.Parse(c.in.Unread()[:size], limits); err != nil {
		c.refuse(err)
		return false, false
	}
	if c.foreign() {
		return false, c.handOver()
	}
	if err := c.upload.begin(c, size); err != nil {
		c.refuse(err)
		return false, false
	}
	err := c.answerIt()
	if errors.Is(err, errOtherPath) {
		if c.x.begun { // another member needs it: all begins anew there
			c.x.account()
			c.endFollowed()
		}
		return false, c.handOver()
	}
	c.ending = c.ending || c.x.parts
	if err != nil {
		c.conclude(err)
	}
	c.x.received = c.upload.received.Load()
	c.x.account()
	c.x.visit.Leave()
	c.endFollowed()
	c.in.Discard(c.upload.taken)
	if c.ending && c.in.Len() > 0 {
		c.visitor.lingers.Store(true) // there is more than we shall read
	}
	c.afterPost = c.request.Framing != http1.None
	return !c.ending, false
}

// foreign tells whether the request needs what the relay does not do.
func (c *conversation) foreign() bool {
	r := &c.request
	return r.Minor == 0 || r.Absolute || r.Has(http1.Expect) || r.Has(http1.Trailer) || r.Switch && r.Has(http1.Upgrade)
}

// handOver gives the connection to net/http, with what was read of it. It reports
// true: the connection is no longer ours.
func (c *conversation) handOver() bool {
	ahead := bytes.Clone(c.in.Unread())
	conn := &replayed{Conn: c.conn, ahead: ahead}
	c.front.takeHTTP1(c.visitor, conn)
	return true
}

// answerIt decides who answers and lets them. An error means that nothing was sent.
func (c *conversation) answerIt() error {
	if err := c.findHost(); err != nil {
		return err
	}
	to, err := c.x.find()
	switch {
	case err != nil:
		return err
	case to.own != nil || to.connectors || to.proof != "":
		return errOtherPath
	case to.redirect:
		c.redirect()
		return nil
	}
	if namesPrivate(&c.request.Head, http1.Authorization) {
		c.visitor.private.Store(true)
	}
	return c.translate(c.x.serveRoute(c, c.beginFollowing))
}

// findHost reads the Host line; it is the same in all requests of most connections.
func (c *conversation) findHost() error {
	if c.hostName == "" || string(c.request.Host) != c.hostSent {
		sent := string(c.request.Host)
		name, err := requestHost(sent)
		if err != nil {
			return err
		}
		c.hostSent, c.hostName = sent, name
	}
	c.x.host = c.hostName
	return nil
}

// refuse answers a request that cannot be understood; nothing behind it is read as
// another one.
func (c *conversation) refuse(why *postern.Error) {
	c.upload = sending{}
	c.lastWords()
	c.fail(why)
	c.x.account()
}

// lastWords makes this exchange the last although the visitor still sends: the
// connection then lingers, so that the answer is read.
func (c *conversation) lastWords() {
	c.ending = true
	c.visitor.lingers.Store(true)
}

// method and the following implement requestHead.
func (c *conversation) method() string {
	switch m := c.request.Method; string(m) { // the usual ones cost nothing
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPost:
		return http.MethodPost
	default:
		return string(m)
	}
}

func (c *conversation) hostText() string { return string(c.request.Host) }
func (c *conversation) protocol() string { return "HTTP/1." + string(rune('0'+c.request.Minor)) }

func (c *conversation) below(path string) bool {
	return len(c.request.Target) >= len(path) && string(c.request.Target[:len(path)]) == path
}

func (c *conversation) path() string {
	if u, err := url.ParseRequestURI(string(c.request.Target)); err == nil {
		return u.EscapedPath()
	}
	return ""
}

func (c *conversation) values(name string) (all []string) {
	for i := range c.request.Lines {
		if l := &c.request.Lines[i]; len(l.Name) == len(name) && http.CanonicalHeaderKey(string(l.Name)) == name {
			all = append(all, string(l.Value))
		}
	}
	return all
}

// timedOut tells a deadline that passed from other ends.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

var (
	_ requestHead = (*conversation)(nil)
	_ net.Conn    = (*replayed)(nil)
)
