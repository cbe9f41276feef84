package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/link"
)

// Refusal is an HTTP answer other than the switch to the WebSocket.
type Refusal struct {
	Status int
	Server string // who says that it answered: the Server header, or Via; "" for nobody
}

// Error implements error.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("the answer to the WebSocket upgrade was %d %s", r.Status, http.StatusText(r.Status))
	if r.Server != "" {
		text += " from " + r.Server
	}
	return strings.TrimSpace(text)
}

// Away tells whether the answer is that of a proxy whose server does not run.
func (r *Refusal) Away() bool {
	return r.Status == http.StatusBadGateway || r.Status == http.StatusServiceUnavailable || r.Status == http.StatusGatewayTimeout
}

// Bounds of what answers to an upgrade.
const (
	mostHead    = 32 << 10
	mostWhoText = 80
)

// Client makes a carrier of conn, which is connected, and secured where it is to be,
// and takes it over; on error it is closed. host is the server's name for HTTP, with
// the port unless it is the scheme's own. userAgent may be "". Errors are a *Refusal
// where HTTP answered; ctx ends the attempt.
func Client(ctx context.Context, conn net.Conn, host, userAgent string) (*Conn, error) {
	header := http.Header{"User-Agent": {userAgent}}
	trip := &roundTrip{ctx: ctx, conn: conn}
	socket, response, err := websocket.Dial(ctx, "ws://"+host+Path, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     trip,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:      header,
		Subprotocols:    []string{Subprotocol},
		CompressionMode: websocket.CompressionDisabled, // a server that offers it all the same is refused
	})
	switch {
	case err == nil && socket.Subprotocol() != Subprotocol:
		err = errors.New("the WebSocket that was opened is not an agent's carrier")
	case err != nil && response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		err = &Refusal{Status: response.StatusCode, Server: who(response.Header)}
	}
	if err != nil {
		_ = conn.Close() // the first error is the one that counts
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return newConn(socket, conn, trip.out, netip.Addr{}), nil
}

// who names whoever answered, in print.
func who(h http.Header) string {
	text := h.Get("Server")
	if text == "" {
		text = h.Get("Via")
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), mostWhoText)]
}

// roundTrip is an HTTP client for one request on a connection that is there.
type roundTrip struct {
	ctx  context.Context
	conn net.Conn
	out  *link.Wire
}

// RoundTrip implements http.RoundTripper.
func (t *roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.out != nil {
		return nil, errors.New("one request only")
	}
	t.out = link.NewWire(t.conn)
	stop := context.AfterFunc(t.ctx, func() { _ = t.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var request bytes.Buffer
	if err := r.Write(&request); err != nil {
		return nil, err
	}
	if _, err := t.conn.Write(request.Bytes()); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: t.conn, N: mostHead}
	in := bufio.NewReader(limited)
	response, err := http.ReadResponse(in, r)
	if err == nil && !stop() {
		err = context.Cause(t.ctx)
	}
	if err != nil {
		return nil, err
	}
	response.Body = http.NoBody // pages of whoever refuses are not read
	if response.StatusCode == http.StatusSwitchingProtocols {
		ahead, _ := in.Peek(in.Buffered())
		response.Body = &body{Wire: t.out, from: io.MultiReader(bytes.NewReader(ahead), t.conn)}
	}
	return response, nil
}

// body is the connection after the switch, with what was read ahead.
type body struct {
	*link.Wire
	from io.Reader
}

func (b *body) Read(p []byte) (int, error) { return b.from.Read(p) }

var (
	_ http.RoundTripper  = (*roundTrip)(nil)
	_ io.ReadWriteCloser = (*body)(nil)
	_ error              = (*Refusal)(nil)
)
