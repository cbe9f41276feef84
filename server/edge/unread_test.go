package edge_test

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

var _ link.Stream = (*unread)(nil)

// unread is a stream to a service that takes the head and nothing more, until its
// member is resumed; then it takes everything and answers.
type unread struct {
	net.Conn // never asked for what is not here
	member   *member
	head     sync.Once
	once     sync.Once
	ended    chan struct{}
	answer   chan struct{}
	answered sync.Once
	taken    int
}

// newUnread makes one; opened tells that the head came with the opening.
func newUnread(m *member, opened bool) *unread {
	u := &unread{member: m, ended: make(chan struct{}), answer: make(chan struct{})}
	if opened {
		u.head.Do(func() {})
	}
	return u
}

func (u *unread) Write(b []byte) (int, error) {
	first := false
	u.head.Do(func() { first = true })
	if first {
		return len(b), nil
	}
	u.member.waits.Add(1)
	defer u.member.waits.Add(-1)
	select {
	case <-u.member.resumed:
		u.answered.Do(func() { close(u.answer) })
		return len(b), nil
	case <-u.ended:
		return 0, &postern.Error{Code: postern.CodeStreamReset}
	}
}

func (u *unread) Read(b []byte) (int, error) {
	select {
	case <-u.answer:
		if u.taken > 0 {
			<-u.ended
			return 0, io.EOF
		}
		u.taken = copy(b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return u.taken, nil
	case <-u.ended:
		return 0, io.EOF
	}
}

func (u *unread) Close() error {
	u.once.Do(func() { u.member.streams.Add(-1); close(u.ended) })
	return nil
}
func (u *unread) CloseWrite() error                { return nil }
func (u *unread) Reset(*postern.Error)             { _ = u.Close() }
func (u *unread) SetDeadline(time.Time) error      { return nil }
func (u *unread) SetReadDeadline(time.Time) error  { return nil }
func (u *unread) SetWriteDeadline(time.Time) error { return nil }
