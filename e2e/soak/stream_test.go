package soak_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/coder/websocket"
)

// listenTo follows n events to their end, each at its time.
func (v *visitor) listenTo(address string, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*eventInterval+visitTime)
	defer cancel()
	body, err := v.open(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	next, ended := 0, false
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "":
		case fmt.Sprintf("data: %d", next):
			next++
		case "data: end":
			ended = true
		default:
			return fmt.Errorf("%w: event %q instead of %d", errWrong, line, next)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if next != n || !ended {
		return fmt.Errorf("%w: a clean end after %d of %d events", errWrong, next, n)
	}
	return nil
}

// converse keeps a WebSocket for life, or until stop, and sends a message a second.
func (v *visitor) converse(address string, life time.Duration, stop <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), life+visitTime)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: v.client}) //nolint:bodyclose // the connection's
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(largestFrame)
	over := time.After(life)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		if err := v.echo(ctx, conn, i); err != nil {
			return err
		}
		select {
		case <-tick.C:
			continue
		case <-over:
		case <-stop:
		}
		return conn.Close(websocket.StatusNormalClosure, "")
	}
}

func (v *visitor) echo(ctx context.Context, conn *websocket.Conn, i int) error {
	size := []int{16, 1000, 70_000, 125}[i%4]
	message := v.service.block[i%1000 : i%1000+size]
	if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
		return fmt.Errorf("message %d: %w", i, err)
	}
	_, got, err := conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("echo %d: %w", i, err)
	}
	if !bytes.Equal(got, message) {
		return fmt.Errorf("%w: the echo of message %d is another", errWrong, i)
	}
	return nil
}

// getSlowly takes a body at 64 KiB every pause; all of it must come.
func (v *visitor) getSlowly(address string, seed, n int, pause time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*visitTime)
	defer cancel()
	body, err := v.open(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	return v.service.check(&slowReader{body, pause, 0}, seed, n)
}

type slowReader struct {
	io.Reader
	pause time.Duration
	taken int
}

func (r *slowReader) Read(p []byte) (int, error) {
	const portion = 64 << 10
	if r.taken >= portion {
		r.taken = 0
		<-time.After(r.pause)
	}
	n, err := r.Reader.Read(p)
	r.taken += n
	return n, err
}

// halfClose sends n bytes to the TCP endpoint, ends its direction, and reads the
// answer that comes after that.
func (s *stage) halfClose(n int) error {
	conn, err := s.dialPort()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.Copy(conn, s.service.reader(0, n)); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%d bytes, <nil>", n); string(answer) != want {
		return fmt.Errorf("%w: the service answered %q, want %q", errWrong, answer, want)
	}
	return nil
}

// resetPort breaks a TCP connection off with a reset.
func (s *stage) resetPort(n int) error {
	conn, err := s.dialPort()
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, s.service.reader(0, n))
	return errors.Join(err, conn.SetLinger(0), conn.Close())
}

func (s *stage) dialPort() (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.server.TCPFirst), visitTime)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), conn.SetDeadline(time.Now().Add(visitTime))
}
