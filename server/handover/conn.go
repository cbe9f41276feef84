package handover

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/postern-dev/postern"
)

// How long the other process may take.
const (
	stepTime  = 15 * time.Second // for one step that needs no work
	readyTime = 2 * time.Minute  // for a newcomer to open the database and whatever else
)

// wire exchanges messages and descriptors over a unix socket.
type wire struct {
	conn  *net.UnixConn
	files []*os.File // received, of the message that is read next
}

// send writes m with the descriptors of files beside it.
func (w *wire) send(m message, files ...*os.File) error {
	text, err := m.encode()
	if err != nil {
		return err
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(stepTime)); err != nil {
		return err
	}
	return sendFiles(w.conn, text, files)
}

// refusal is the other process's word that nothing comes of the hand-over.
type refusal struct{ why *postern.Error }

func (r refusal) Error() string { return r.why.Error() }
func (r refusal) Unwrap() error { return r.why }

// receive waits for a message of the kind, and gives what came with it. Other kinds
// are errors; a refusal is one as such.
func (w *wire) receive(ctx context.Context, k kind, within time.Duration) (message, []*os.File, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(within))
	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	m, err := readMessage(w)
	files := w.files
	w.files = nil
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
	case m.Kind == kindRefusal:
		err = refusal{postern.Errorf(m.Code, "%s", m.Text)}
	case m.Kind != k:
		err = unreadable(errors.New("a " + clip(string(m.Kind), 32) + " came instead of a " + string(k)))
	case len(files) != m.descriptors():
		err = unreadable(errors.New("descriptors are missing"))
	}
	if err != nil {
		closeAll(files)
		return message{}, nil, err
	}
	return m, files, nil
}

// Read implements io.Reader; descriptors that come with the bytes are kept.
func (w *wire) Read(b []byte) (int, error) {
	n, files, err := receiveFiles(w.conn, b)
	w.files = append(w.files, files...)
	if len(w.files) > mostDescriptors {
		return 0, unreadable(errors.New("it has too many descriptors"))
	}
	return n, err
}

// refuse tells the other process why nothing comes of it.
func (w *wire) refuse(why error) {
	coded := postern.AsError(why)
	_ = w.send(message{Kind: kindRefusal, Code: coded.Code, Text: coded.Text()})
}

func (w *wire) close() {
	closeAll(w.files)
	_ = w.conn.Close()
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
