package session

import (
	"context"
	"net"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// Openable is a Handler whose service can be asked without a visitor: a request that was
// captured is sent again over such a connection. It is plain HTTP/1.1, nobody looks at
// it, and the caller closes it. ctx bounds the connecting only.
type Openable interface {
	Open(ctx context.Context) (net.Conn, error)
}

// The PROXY headers of a connection that nobody's visit caused.
const (
	unknownV1 = "PROXY UNKNOWN\r\n"
	localV2   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// Open connects to the service, with TLS and PROXY header as a visitor's connection has
// them. Errors are CodeUpstreamUnreachable, and CodeReplayImpossible for a service that
// speaks HTTP/2.
func (f *Forward) Open(ctx context.Context) (net.Conn, error) {
	if f.Protocol == postern.HTTP2 {
		return nil, postern.Errorf(postern.CodeReplayImpossible, "the service at %s speaks HTTP/2", f.Upstream)
	}
	var header []byte
	switch f.ProxyProtocol {
	case 1:
		header = []byte(unknownV1)
	case 2:
		header = []byte(localV2)
	}
	conn, err := f.dial(ctx, link.Header{Scheme: postern.HTTPS}, header)
	if err != nil {
		return nil, postern.Errorf(postern.CodeUpstreamUnreachable, "%s cannot be reached", f.Upstream).Because(err)
	}
	return conn, nil
}

// Open connects to the files.
func (f *Files) Open(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go f.serveOpened(&whole{far})
	return near, nil
}

// serveOpened ends when the other end of conn is closed.
func (f *Files) serveOpened(conn relay.Conn) {
	_ = f.serveConn(context.Background(), conn) // of its end there is nothing to do
}

// whole is a connection whose directions end together.
type whole struct{ net.Conn }

// CloseWrite ends both.
func (w *whole) CloseWrite() error { return w.Close() }

// Interface guards.
var (
	_ Openable = (*Forward)(nil)
	_ Openable = (*Files)(nil)
)
