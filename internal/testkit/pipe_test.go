package testkit_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/postern-dev/postern/internal/testkit"
)

// The standard battery for net.Conn: deadlines past, present and future, racing
// reads and writes, close while blocked.
func TestPipeIsAConn(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = testkit.Pipe()
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

func TestPipeBuffersWrites(t *testing.T) {
	a, b := testkit.Pipe()
	defer a.Close()
	defer b.Close()
	want := bytes.Repeat([]byte("postern "), 8<<10) // exactly the buffer, and nobody reads
	if n, err := a.Write(want); n != len(want) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if err := a.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write past its deadline = %v", err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read other bytes than were written, error %v", err)
	}
}

func TestPipeHalfCloses(t *testing.T) {
	a, b := testkit.Pipe()
	defer a.Close()
	defer b.Close()
	mustWrite(t, a, "question")
	if err := a.(*testkit.PipeConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); string(got) != "question" || err != nil {
		t.Fatalf("ReadAll = %q, %v", got, err)
	}
	mustWrite(t, b, "answer")
	b.Close()
	if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
		t.Errorf("ReadAll after half-close = %q, %v", got, err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write after CloseWrite = %v, want EPIPE", err)
	}
}

func TestPipeResets(t *testing.T) {
	t.Run("unread bytes", func(t *testing.T) {
		a, b := testkit.Pipe()
		defer a.Close()
		mustWrite(t, a, "never read")
		b.Close()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read = %v, want ECONNRESET", err)
		}
	})
	t.Run("no linger", func(t *testing.T) {
		a, b := testkit.Pipe()
		defer b.Close()
		mustWrite(t, a, "lost")
		a.(*testkit.PipeConn).SetLinger(0)
		a.Close()
		if _, err := b.Read(make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read = %v, want ECONNRESET", err)
		}
	})
}

func TestPipeDeadlineInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := testkit.Pipe()
		defer a.Close()
		defer b.Close()
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Hour))
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("Read = %v after %v, want the deadline after an hour", err, time.Since(start))
		}
	})
}

func TestTLSPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := testkit.Pipe()
		client, server := testkit.TLSPair(t, a, b, "postern/1")
		defer server.Close()
		if got := server.ConnectionState().NegotiatedProtocol; got != "postern/1" {
			t.Errorf("negotiated %q", got)
		}
		mustWrite(t, client, "hello")
		client.Close()
		if got, err := io.ReadAll(server); string(got) != "hello" || err != nil {
			t.Errorf("ReadAll = %q, %v", got, err)
		}
	})
}

func TestLoggerOutlivesItsTest(t *testing.T) {
	var log interface{ Info(string, ...any) }
	t.Run("short", func(t *testing.T) { log = testkit.Logger(t) })
	log.Info("a straggler") // would panic without the guard
}

func mustWrite(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}
