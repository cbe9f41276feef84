package server

import (
	"context"
	"net"

	"github.com/postern-dev/postern/server/handover"
)

// listenSocket makes the directory's socket. The directory's lock is held, so a
// socket that is there belongs to nobody.
func (d *dataDir) listenSocket() (net.Listener, error) {
	ln, err := handover.Listen(d.path, socketName)
	if err != nil {
		return nil, unusable(d.path, err)
	}
	return ln, nil
}

// dialSocket connects to the server that uses the directory.
func dialSocket(ctx context.Context, dir string) (*net.UnixConn, error) {
	return handover.Dial(ctx, dir, socketName)
}
