package edge

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
)

// upgrade joins visitor and service after the service has agreed to the protocol
// switch that we forwarded, and only then: bytes that follow a refused upgrade are
// never relayed.
func (x *webExchange) upgrade(response *http.Response, conn *upstreamConn) error {
	asked, got := upgradeOf(x.r.Header), upgradeOf(response.Header)
	agreed := got != "" && !strings.Contains(got, ",") && containsToken(asked, got)
	if conn == nil || x.r.ProtoMajor != 1 || !agreed || !x.upload.complete() {
		return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service switched to a protocol that nobody asked for")
	}
	body, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		return &postern.Error{Code: postern.CodeLinkDraining}
	}
	removeHopByHop(response.Header, response.Header["Connection"])
	return x.switchTo(got, response, func(visitor relay.Conn) {
		conn.busy.Store(0) // from now on a clean end of one side is one of the other
		x.joined = &joined{visitor: visitor, service: &upgraded{upstreamConn: conn, from: body}}
	})
}

// switchTo answers that the protocol is switched, and has join set what is joined then.
func (x *webExchange) switchTo(protocol string, response *http.Response, join func(visitor relay.Conn)) error {
	if err := x.review(response); err != nil {
		return err
	}
	x.keepCookies(response.Header)
	if !x.edge.beginUpgrade() {
		return &postern.Error{Code: postern.CodeLinkDraining}
	}
	visitor, err := x.hijack()
	if err != nil {
		x.edge.endUpgrade()
		return err
	}
	x.status = http.StatusSwitchingProtocols
	if _, err := visitor.Write(switchingHead(response, protocol)); err != nil {
		x.failure = (&postern.Error{Code: postern.CodeStreamReset}).Because(err)
		relay.Abort(visitor, x.failure)
		_ = x.visitor.Close()
		x.edge.endUpgrade()
		return nil
	}
	x.visitor.paced(x.live.pace())
	x.moved = new(relay.Counters)
	x.upgraded()
	join(visitor)
	return nil
}

// joined is the two ends of an exchange whose protocol was switched.
type joined struct {
	visitor, service relay.Conn
	leave            func(ok bool) // the member's, see route.Member
}

// beginUpgrade counts a relay in that has a goroutine of its own, unless the edge is
// ending.
func (e *Edge) beginUpgrade() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.relays.Add(1)
	e.all.Add(1)
	return true
}

func (e *Edge) endUpgrade() {
	e.relays.Done()
	e.all.Done()
}

// forgetHTTP lets go of what net/http needs no more after a switch: the handler is about
// to return, and what its connection read and wrote through goes with its goroutine.
func (x *webExchange) forgetHTTP() {
	x.detach()
	x.w, x.control, x.upload, x.body, x.edited = nil, nil, nil, nil, nil
	x.r.Body, x.request, x.response.body = http.NoBody, Request{}, nil
}

// join relays between visitor and service until both have ended. It runs on a goroutine
// of its own, which holds a quarter of what the handler's would: that has a stack that a
// request has grown, and two buffers.
func (x *webExchange) join() {
	defer x.edge.endUpgrade()
	defer x.leaveContext()
	result := relay.Pipe(x.edge.ctx, x.joined.visitor, x.joined.service, relay.Options{Counters: x.moved})
	_ = x.visitor.Close()
	x.joined.leave(true)
	x.received, x.sent, x.failure = x.received+result.AToB, result.BToA, result.Err
	x.account()
	x.visit.Leave()
}

// containsToken tells whether list, as upgradeOf gives it, has token.
func containsToken(list, token string) bool {
	for one := range strings.SplitSeq(list, ", ") {
		if strings.EqualFold(one, token) {
			return true
		}
	}
	return false
}

// hijack takes the visitor's connection from net/http, with what was read ahead.
func (x *webExchange) hijack() (relay.Conn, error) {
	taken, buffered, err := x.control.Hijack()
	if err != nil {
		return nil, postern.Errorf(postern.CodeInternal, "").Because(err)
	}
	conn := taken.(*onlooker).Conn // *tls.Conn, *relay.Peeked, *visitor or *replayed
	if r, ok := conn.(*replayed); ok && len(r.ahead) == 0 {
		conn = r.Conn
	}
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if len(ahead) > 0 {
		conn = &replayed{Conn: conn, ahead: bytes.Clone(ahead)}
	}
	return conn, nil
}

// switchingHead is the 101 answer as the service gave it.
func switchingHead(response *http.Response, protocol string) []byte {
	header := response.Header
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = []string{protocol}
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(&head) // a buffer takes everything
	head.WriteString("\r\n")
	return head.Bytes()
}

// replayed is a connection some of whose bytes were read ahead.
type replayed struct {
	relay.Conn
	ahead []byte
}

// Read gives out what was read ahead, then what comes.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.ahead) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.ahead)
	if r.ahead = r.ahead[n:]; len(r.ahead) == 0 {
		r.ahead = nil // lets the memory go
	}
	return n, nil
}

// NetConn lets relay.Abort reach the connection below.
func (r *replayed) NetConn() net.Conn { return r.Conn }

// upgraded is the service's side after a switch: the transport may have read ahead.
type upgraded struct {
	*upstreamConn
	from io.Reader
}

func (u *upgraded) Read(b []byte) (int, error) { return u.from.Read(b) }

var (
	_ relay.Conn = (*replayed)(nil)
	_ relay.Conn = (*upgraded)(nil)
)
