package edge

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// mostResponseLines bounds the memory for a service's header beside maxResponseHead.
const mostResponseLines = 2000

// readHead reads the final head of the service's answer, and passes on those that
// come before it (1xx).
func (c *conversation) readHead(conn *upstreamConn) error {
	for interims := 0; ; interims++ {
		size, err := c.fillHead(conn, interims == 0)
		if err != nil {
			return err
		}
		bodiless := string(c.request.Method) == http.MethodHead
		limits := http1.Limits{Bytes: maxResponseHead, Lines: mostResponseLines}
		if err := c.response.Parse(c.answer.Unread()[:size], limits, bodiless); err != nil {
			return err
		}
		c.responseSize = size
		switch {
		case c.response.Code == http.StatusSwitchingProtocols:
			return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service switched to a protocol that nobody asked for")
		case c.response.Code >= 200:
			c.watch.answered()
			return nil
		case interims == mostInterims:
			return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service does not come to its final answer")
		case c.response.Code != http.StatusContinue: // which nobody here has asked for
			if err := c.tell(c.response.Append(c.out[:0], nil)); err != nil {
				return err
			}
		}
		c.answer.Discard(size)
	}
}

// protocolName begins every answer; who says something else is not waited for.
const protocolName = "HTTP/"

// fillHead waits until a whole head is in c.answer. first tells that nothing of an
// answer has come before.
func (c *conversation) fillHead(conn *upstreamConn, first bool) (size int, err error) {
	for from := 0; ; {
		unread := c.answer.Unread()
		if size := http1.End(unread, from); size >= 0 {
			return size, nil
		}
		if n := min(len(unread), len(protocolName)); string(unread[:n]) != protocolName[:n] {
			return 0, postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service does not answer in HTTP")
		}
		from = len(unread)
		if _, err := c.answer.Fill(conn, maxResponseHead); err != nil {
			if first && c.answer.Len() == 0 {
				err = errors.Join(errNoAnswer, err)
			}
			return 0, err
		}
	}
}

// reply sends the answer. Its head, and what has come of its body, leave in one
// write. An error means that nothing was sent.
func (c *conversation) reply(conn *upstreamConn) error {
	r := &c.response
	if namesPrivate(&r.Head, http1.WWWAuthenticate) {
		c.visitor.private.Store(true)
	}
	if c.followed.needs != 0 {
		c.x.times.FirstByte = time.Now()
		if err := c.review(); err != nil {
			return err
		}
	}
	if r.Has(http1.SetCookie) {
		c.x.keepCookiesOf(&r.Head)
	}
	if !c.upload.complete() {
		c.lastWords()
	}
	if c.request.Close || c.edge.lastAnswers() {
		c.ending = true
	}
	lines := c.extra[:0]
	if c.ending {
		lines = append(lines, "Connection: close\r\n"...)
	}
	if !r.Has(http1.Date) {
		lines = appendDate(lines, c.x.times.Started)
	}
	c.extra = lines
	tap := c.tapOf(Download)
	b := body{framing: r.Framing, left: r.Length, chunks: http1.Chunks{Answer: true, Sink: tap}, tap: tap}
	c.out = r.Append(c.out[:0], lines)
	c.answer.Discard(c.responseSize)
	out, err := b.take(&c.answer, c.out)
	if err == nil && tap != nil {
		err = c.x.tapFailure()
	}
	if err != nil {
		return err // nothing was sent
	}
	c.out = out
	c.x.status = r.Code
	if b.over() {
		c.giveBack(true) // before the visitor's next request can come
	}
	if c.tell(c.out) != nil {
		return nil
	}
	c.x.sent = b.data
	c.copyBody(conn, &b)
	return nil
}

// copyBody sends the rest of the body as it comes.
func (c *conversation) copyBody(conn *upstreamConn, b *body) {
	for !b.over() {
		if b.framing == http1.Length && b.left > bulkFrom {
			c.answer.Widen()
		}
		n, err := c.answer.Fill(conn, mostBodyBuffer)
		if n > 0 {
			err = nil // it comes again
		}
		if err != nil && !(err == io.EOF && b.framing == http1.UntilClose) {
			c.cutOff(c.translate(err))
			return
		}
		if err == io.EOF {
			b.ended = true
		}
		out, err := c.nextPart(b)
		if failure := c.x.broken.Load(); failure != nil {
			c.cutOff(failure)
			return
		}
		if err != nil {
			c.cutOff(c.translate(err))
			return
		}
		if b.over() {
			c.giveBack(true)
		}
		if len(out) > 0 && c.tell(out) != nil {
			return
		}
		c.x.sent = b.data
		if n >= smallRead && !b.over() {
			c.answer.Widen() // there is probably more
		}
	}
}

// nextPart takes what has come of a body. It is valid until the next read.
func (c *conversation) nextPart(b *body) ([]byte, error) {
	if b.framing == http1.Length && int64(c.answer.Len()) <= b.left {
		out := c.answer.Unread() // no copy
		b.show(out)
		c.answer.Discard(len(out))
		b.left -= int64(len(out))
		b.data += int64(len(out))
		return out, nil
	}
	out, err := b.take(&c.answer, c.out[:0])
	c.out = out
	return out, err
}

const (
	// bulkFrom is how much must be left of a body for a large buffer to be worth it.
	bulkFrom = 8 << 10
	// smallRead is what a small buffer takes.
	smallRead = 4 << 10
	// mostBodyBuffer bounds a buffer that grows for a long line of a chunked body.
	mostBodyBuffer = 64 << 10
)

// tell writes to the visitor. A visitor who does not take it is gone: the exchange is
// over, and nothing may follow on this connection.
func (c *conversation) tell(b []byte) error {
	if _, err := c.conn.Write(b); err != nil {
		c.cutOff((&postern.Error{Code: postern.CodeStreamReset}).Because(err))
		return errVisitorGone
	}
	return nil
}

// cutOff ends the connection so that nobody takes the answer for complete.
func (c *conversation) cutOff(err error) {
	c.x.failure = postern.AsError(err)
	if errors.Is(err, errVisitorGone) {
		c.x.failure = &postern.Error{Code: postern.CodeStreamReset}
	}
	c.ending = true
	c.visitor.abort(c.x.failure)
}

// fail answers with a page for a failure before which nothing was sent.
func (c *conversation) fail(err error) {
	if errors.Is(err, errVisitorGone) {
		c.cutOff(err)
		return
	}
	if c.x.status != 0 || c.visitor.aborted.Load() {
		c.cutOff(err)
		return
	}
	p := c.x.newPage(postern.AsError(err))
	kind, text := p.render(c.values("Accept"))
	if !c.upload.complete() {
		c.lastWords()
	}
	c.say(p.Status, p.header(kind, len(text)), text)
}

// redirect sends a visitor of port 80 to the https endpoint of the same name.
func (c *conversation) redirect() {
	location := c.edge.publicURL(postern.HTTPS, c.x.host, string(c.request.Target))
	if !c.upload.complete() {
		c.lastWords()
	}
	c.say(http.StatusPermanentRedirect, []headerLine{{"Location", location}, {"Content-Length", "0"}}, nil)
}

// say sends an answer of our own.
func (c *conversation) say(status int, header []headerLine, text []byte) {
	out := append(c.out[:0], "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, " "+http.StatusText(status)+"\r\n"...)
	dated := false
	for _, l := range header {
		out = http1.AppendLine(out, l.name, l.value)
		dated = dated || l.name == "Date"
	}
	if !dated {
		out = appendDate(out, c.x.times.Started)
	}
	if c.ending = c.ending || c.request.Close || c.edge.lastAnswers(); c.ending {
		out = append(out, "Connection: close\r\n"...)
	}
	out = append(out, "\r\n"...)
	c.x.status = status
	if string(c.request.Method) != http.MethodHead {
		out = append(out, text...)
		c.x.sent = int64(len(text))
	}
	c.out = out
	_ = c.tell(out)
}

func appendDate(dst []byte, now time.Time) []byte {
	dst = append(dst, "Date: "...)
	dst = now.UTC().AppendFormat(dst, http.TimeFormat)
	return append(dst, "\r\n"...)
}

func appendPort(dst []byte, port uint16) []byte {
	dst = strconv.AppendUint(dst, uint64(port), 10)
	return append(dst, "\r\n"...)
}

// namesPrivate is namesPrivateConnection for the relay's heads.
func namesPrivate(h *http1.Head, f http1.Field) bool {
	if !h.Has(f) {
		return false
	}
	for i := range h.Lines {
		if h.Lines[i].Field == f && namesPrivateConnection([]string{string(h.Lines[i].Value)}) {
			return true
		}
	}
	return false
}
