package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// longestSocket is what every Unix takes as a socket's path; some take 4 bytes more.
const longestSocket = 100

// listenSocket makes the directory's socket. The directory's lock is held, so a
// socket that is there belongs to nobody.
func (d *dataDir) listenSocket() (net.Listener, error) {
	path := d.file(socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(d.path, err)
	}
	var ln net.Listener
	err := shortly(d.path, func(dir string) (err error) {
		ln, err = net.Listen("unix", filepath.Join(dir, socketName))
		return err
	})
	if err != nil {
		return nil, unusable(d.path, err)
	}
	// The directory is ours alone already; this is for one that was made by hand.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(unusable(d.path, err), ln.Close())
	}
	return ln, nil
}

// dialSocket connects to the server that uses the directory.
func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := shortly(dir, func(dir string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socketName))
		return err
	})
	return conn, err
}

// shortly calls use with a path of the directory that is short enough for a
// socket's: a symbolic link to it where it is not.
func shortly(dir string, use func(dir string) error) error {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if len(absolute)+len(socketName) < longestSocket {
		return use(absolute)
	}
	temporary, err := os.MkdirTemp("", "postern-") // mode 0700: nobody else can swap the link
	if err != nil {
		return err
	}
	link := filepath.Join(temporary, "d")
	if err := os.Symlink(absolute, link); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return errors.Join(use(link), os.RemoveAll(temporary))
}
