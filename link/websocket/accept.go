package websocket

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Asked tells whether a request has the form of an upgrade to this carrier; whether it
// is a good one is Accept's to find out.
func Asked(r *http.Request) bool {
	return r.URL.Path == Path && r.ProtoMajor == 1 && has(r.Header["Upgrade"], "websocket")
}

// Accept answers an upgrade. hijack takes the connection from the HTTP server as soon as
// the answer is written, with whatever was read ahead of it; nil does it as usual. remote
// is whom trusted proxies name as the agent, or invalid. On error nothing has been
// answered if it is a *postern.Error, CodeRequestInvalid.
//
// A request with an Origin comes from a web page, which has no business here.
func Accept(w http.ResponseWriter, r *http.Request, hijack func() (net.Conn, error), remote netip.Addr) (*Conn, error) {
	switch {
	case r.Method != http.MethodGet, r.Header.Get("Sec-Websocket-Version") != "13":
		return nil, postern.Errorf(postern.CodeRequestInvalid, "an agent's carrier is a GET with Sec-WebSocket-Version 13")
	case len(r.Header["Origin"]) > 0:
		return nil, postern.Errorf(postern.CodeRequestInvalid, "web pages cannot be agents: the request has an Origin")
	case !has(r.Header["Sec-Websocket-Protocol"], Subprotocol):
		return nil, postern.Errorf(postern.CodeRequestInvalid, "an agent's carrier asks for the WebSocket subprotocol %s", Subprotocol)
	}
	taken := &hijacker{ResponseWriter: w, take: hijack}
	socket, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:    []string{Subprotocol},
		CompressionMode: websocket.CompressionDisabled, // never inflate what a stranger sends
	})
	if err != nil {
		return nil, err
	}
	return newConn(socket, taken.wire.Conn, taken.wire, remote), nil
}

// hijacker gives the WebSocket library the connection that the caller takes out.
type hijacker struct {
	http.ResponseWriter
	take func() (net.Conn, error)
	wire *link.Wire
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.take == nil {
		conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
		if err != nil {
			return nil, nil, err
		}
		h.wire = link.NewWire(conn)
		return h.wire, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(h.wire)), nil
	}
	conn, err := h.take()
	if err != nil {
		return nil, nil, err
	}
	h.wire = link.NewWire(conn)
	return h.wire, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(h.wire)), nil
}

// has tells whether one of a header's comma-separated lists has token.
func has(lists []string, token string) bool {
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}

var _ http.Hijacker = (*hijacker)(nil)
