package session

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// Files is the handler that serves the files of a directory over HTTP: GET and HEAD,
// ranges, conditional requests, index.html and listings, as http.FileServer does.
// Nothing outside of the directory can be reached, not through links either; names that
// begin with a dot, and what is neither file nor directory, are not there.
type Files struct {
	directory string
	server    http.Server
}

// NewFiles checks that there is such a directory. The error is CodeFileUnreadable.
func NewFiles(directory string, logger *slog.Logger) (*Files, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the directory %q cannot be served: %v", directory, err).Because(err)
	}
	_ = root.Close() // it is opened anew for every stream: it may have been replaced
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	f := &Files{directory: directory}
	f.server = http.Server{
		Handler:           http.HandlerFunc(f.serve),
		ReadHeaderTimeout: filesPatience,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	f.server.Protocols.SetHTTP1(true)
	f.server.Protocols.SetUnencryptedHTTP2(true) // for an endpoint that was bound with HTTP/2
	return f, nil
}

// filesPatience bounds how long a request's head may take once it has begun.
const filesPatience = 30 * time.Second

// ServeStream answers the requests of one stream until it ends.
func (f *Files) ServeStream(ctx context.Context, _ link.Header, stream link.Stream) {
	_ = f.serveConn(ctx, stream) // of a stream's end there is nothing to do
}

// ServeTapped is ServeStream with somebody who looks.
func (f *Files) ServeTapped(ctx context.Context, _ link.Header, stream link.Stream, tap StreamTap) {
	tap.End(f.serveConn(ctx, &tapped{stream, tap}))
}

func (f *Files) serveConn(ctx context.Context, conn relay.Conn) error {
	one := &oneConn{conn: conn, ended: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { relay.Abort(conn, postern.Errorf(postern.CodeLinkDraining, "the agent is stopping")) })
	defer stop()
	if err := f.server.Serve(one); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// serve answers a request. The directory is opened for each: the owner may have put
// another in its place.
func (f *Files) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "files can be read only", http.StatusMethodNotAllowed)
		return
	}
	root, err := os.OpenRoot(f.directory)
	if err != nil {
		http.Error(w, "the files are not there", http.StatusNotFound)
		return
	}
	defer root.Close()
	http.FileServerFS(visible{root}).ServeHTTP(w, r)
}

// visible is what visitors may see of a directory.
type visible struct{ root *os.Root }

// Open implements fs.FS.
func (v visible) Open(name string) (fs.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if hidden(part) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	// Before opening it: a pipe would keep who opens it waiting.
	info, err := v.root.Stat(name)
	if err != nil {
		return nil, unseen(name, err)
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	file, err := v.root.Open(name)
	switch {
	case err != nil:
		return nil, unseen(name, err)
	case info.IsDir():
		return &listing{file, v.root, name}, nil
	}
	return file, nil
}

// unseen makes of every failure but a missing permission a missing file: of a link that
// leads out of the directory nobody learns more.
func unseen(name string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func hidden(part string) bool { return strings.HasPrefix(part, ".") && part != "." }

// listing is a directory without what is hidden, or leads nowhere.
type listing struct {
	*os.File
	root *os.Root
	name string
}

// ReadDir implements fs.ReadDirFile.
func (l *listing) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := l.File.ReadDir(n)
	return slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		if hidden(entry.Name()) {
			return true
		}
		info, err := l.root.Stat(path.Join(l.name, entry.Name()))
		return err != nil || !info.Mode().IsRegular() && !info.IsDir()
	}), err
}

// oneConn is a listener with one connection, which it outlives not.
type oneConn struct {
	conn  net.Conn
	once  sync.Once
	taken bool // belongs to the one caller of Accept
	ended chan struct{}
}

// Accept gives the connection, and then waits for its end.
func (o *oneConn) Accept() (net.Conn, error) {
	if !o.taken {
		o.taken = true
		return &endTold{o.conn, o}, nil
	}
	<-o.ended
	return nil, net.ErrClosed
}

// Close ends the waiting.
func (o *oneConn) Close() error {
	o.once.Do(func() { close(o.ended) })
	return nil
}

// Addr is the connection's own.
func (o *oneConn) Addr() net.Addr { return o.conn.LocalAddr() }

// endTold ends its listener when it is closed.
type endTold struct {
	net.Conn
	listener *oneConn
}

// Close closes the connection.
func (e *endTold) Close() error {
	err := e.Conn.Close()
	_ = e.listener.Close() // it cannot fail
	return err
}

// Interface guards.
var (
	_ Tappable       = (*Files)(nil)
	_ fs.ReadDirFile = (*listing)(nil)
	_ net.Listener   = (*oneConn)(nil)
)
