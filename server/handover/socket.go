package handover

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

// Listen makes a unix socket in a directory that nobody else may enter, in place of
// one that is there: the caller knows that that belongs to nobody. The file stays when
// the listener is closed, since it may have been handed over.
func Listen(dir, name string) (*net.UnixListener, error) {
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ln *net.UnixListener
	err := shortly(dir, name, func(path string) (err error) {
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	// The directory is ours alone already; this is for one that was made by hand.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Dial connects to a socket that Listen made.
func Dial(ctx context.Context, dir, name string) (*net.UnixConn, error) {
	var conn net.Conn
	err := shortly(dir, name, func(path string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// shortly calls use with a path of the socket that is short enough: through a symbolic
// link to the directory where it is not.
func shortly(dir, name string, use func(path string) error) error {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if len(absolute)+len(name) < longestSocket {
		return use(filepath.Join(absolute, name))
	}
	temporary, err := os.MkdirTemp("", "postern-") // mode 0700: nobody else can swap the link
	if err != nil {
		return err
	}
	link := filepath.Join(temporary, "d")
	if err := os.Symlink(absolute, link); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return errors.Join(use(filepath.Join(link, name)), os.RemoveAll(temporary))
}
