package inspect

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// Open connects to the service behind an endpoint, in plain HTTP/1.1: what TLS or
// PROXY header the service wants is Open's to bring.
type Open func(ctx context.Context, endpoint string) (net.Conn, error)

// Replay sends a captured request to its service once more, as it was captured, and
// captures what comes of it as a new exchange, whatever the budget says. endpoint is
// whose service it goes to; "" is the one that it came to. It blocks until the answer
// has come whole, or ctx ends. Errors are CodeNotFound, CodeReplayImpossible,
// CodeUpstreamInvalidResponse, and whatever Open gave.
func (r *Recorder) Replay(ctx context.Context, id, endpoint string, open Open) error {
	original, found := r.store.Get(id)
	if !found {
		return postern.Errorf(postern.CodeNotFound, "there is no captured request %q", id)
	}
	request, err := again(&original.Request)
	if err != nil {
		return err
	}
	endpoint = cmp.Or(endpoint, original.Endpoint)
	conn, err := open(ctx, endpoint)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()

	visitor, _ := netip.ParseAddr(original.Remote) // none is fine: then nobody is shown
	stream := r.Stream(endpoint, netip.AddrPortFrom(visitor, 0))
	stream.always, stream.replayOf = true, original.ID
	stream.FromVisitor(request)
	sent := make(chan error, 1)
	go send(conn, request, sent)
	err = receive(conn, stream)
	_ = conn.Close() // ends send, should it still be at it
	if writing := <-sent; err != nil && writing != nil && !errors.Is(writing, net.ErrClosed) {
		err = writing
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	stream.End(err)
	if err != nil {
		return postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service did not answer the replayed request: %v", err)
	}
	return nil
}

// again writes a captured request as it goes over a connection.
func again(m *Message) ([]byte, error) {
	switch {
	case m.Cut:
		return nil, postern.Errorf(postern.CodeReplayImpossible, "the request's body of %d bytes was too large to be kept whole", m.Size)
	case m.Head == 0:
		return nil, postern.Errorf(postern.CodeReplayImpossible, "the request was not kept")
	case !m.Whole:
		return nil, postern.Errorf(postern.CodeReplayImpossible, "the request has not come whole")
	}
	if _, _, protocol := m.RequestLine(); protocol == protocol2 {
		return nil, postern.Errorf(postern.CodeReplayImpossible, "the request came over HTTP/2")
	}
	for name, value := range m.Lines() {
		if !strings.EqualFold(name, "Transfer-Encoding") || !strings.EqualFold(value, "chunked") {
			continue
		}
		text := append([]byte(nil), m.Raw[:m.Head]...)
		if body := m.Body(); len(body) > 0 {
			text = strconv.AppendInt(text, int64(len(body)), 16)
			text = append(text, "\r\n"...)
			text = append(text, body...)
			text = append(text, "\r\n"...)
		}
		return append(text, "0\r\n\r\n"...), nil
	}
	return m.Raw, nil
}

func send(conn net.Conn, request []byte, sent chan<- error) {
	_, err := conn.Write(request)
	sent <- err
}

// receive reads until the answer is whole or the service says no more.
func receive(conn net.Conn, stream *Stream) error {
	buffer := make([]byte, 16<<10)
	for !stream.quiet() {
		n, err := conn.Read(buffer)
		stream.FromService(buffer[:n])
		switch {
		case errors.Is(err, io.EOF):
			return stream.serviceSaidAll()
		case err != nil:
			return err
		}
	}
	return nil
}
