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
	removeHopByHop(response.Header, response.Header["Connection"])
	if err := x.review(response); err != nil {
		return err
	}
	if !ok || !x.edge.beginRelay() {
		return &postern.Error{Code: postern.CodeLinkDraining}
	}
	defer x.edge.relays.Done()
	visitor, err := x.hijack()
	if err != nil {
		return err
	}
	x.status = http.StatusSwitchingProtocols
	if _, err := visitor.Write(switchingHead(response, got)); err != nil {
		x.failure = (&postern.Error{Code: postern.CodeStreamReset}).Because(err)
		relay.Abort(visitor, x.failure)
		_ = x.visitor.Close()
		return nil
	}
	conn.busy.Store(0) // from now on a clean end of one side is one of the other
	x.visitor.paced(x.live.pace())
	x.moved = new(relay.Counters)
	x.upgraded()
	result := relay.Pipe(x.edge.ctx, visitor, &upgraded{upstreamConn: conn, from: body}, relay.Options{Counters: x.moved})
	_ = x.visitor.Close()
	x.gotten, x.sent, x.failure = result.AToB, result.BToA, result.Err
	return nil
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
	conn := taken.(*onlooker).Conn // *tls.Conn, *relay.Peeked or *visitor
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if len(ahead) > 0 {
		conn = &replayed{Conn: conn, from: io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), conn)}
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
	from io.Reader
}

func (r *replayed) Read(b []byte) (int, error) { return r.from.Read(b) }

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
