package testkit_test

import (
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

func faulty() (*testkit.FaultConn, net.Conn) {
	a, b := testkit.Pipe()
	return testkit.Fault(a), b
}

func TestFaultConnWithoutFaultsIsAConn(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = faulty()
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

func TestCutResetsBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := faulty()
		defer far.Close()
		pending := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			pending <- err
		}()
		synctest.Wait()
		conn.Cut()
		if err := <-pending; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("pending Read = %v", err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Write = %v", err)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the far end's Read = %v", err)
		}
	})
}

func TestStallReadsDeliversAfterResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := faulty()
		defer conn.Close()
		defer far.Close()
		got := make(chan string, 1)
		go func() {
			p := make([]byte, 16)
			n, _ := conn.Read(p)
			got <- string(p[:n])
		}()
		synctest.Wait() // the Read is inside the inner connection
		conn.Stall(testkit.Reads)
		mustWrite(t, far, "late")
		synctest.Wait()
		select {
		case text := <-got:
			t.Fatalf("a stalled Read returned %q", text)
		default:
		}
		conn.Resume(testkit.Reads)
		if text := <-got; text != "late" {
			t.Errorf("Read after Resume = %q", text)
		}
	})
}

func TestStallWritesSwallowsThenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := faulty()
		conn.Stall(testkit.Writes)
		mustWrite(t, conn, "ping")
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := conn.Write(make([]byte, 100<<10))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n != 64<<10-4 {
			t.Errorf("Write into a full black hole = %d, %v", n, err)
		}
		far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the far end's Read = %v, want silence", err)
		}
		conn.SetWriteDeadline(time.Time{})
		far.SetReadDeadline(time.Time{})
		go func() {
			conn.Resume(testkit.Writes)
			mustWrite(t, conn, "pong")
			conn.Close()
		}()
		all, err := io.ReadAll(far)
		if err != nil || len(all) != 64<<10+4 || string(all[:4]) != "ping" || string(all[len(all)-4:]) != "pong" {
			t.Errorf("after Resume the far end read %d bytes, error %v", len(all), err)
		}
		far.Close()
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := faulty()
		conn.SetRate(1000)
		start := time.Now()
		go func() {
			mustWrite(t, conn, string(make([]byte, 5000)))
			conn.Close()
		}()
		all, _ := io.ReadAll(far)
		far.Close()
		if took := time.Since(start).Round(100 * time.Millisecond); len(all) != 5000 || took != 5*time.Second {
			t.Errorf("%d bytes at 1000 B/s took %v, want 5000 in 5s", len(all), took)
		}
	})
}

func TestSplitWrites(t *testing.T) {
	conn, far := faulty()
	defer far.Close()
	conn.SplitWrites(3)
	reads := make(chan int)
	go func() {
		defer close(reads)
		p := make([]byte, 64)
		for {
			n, err := far.Read(p)
			if err != nil {
				return
			}
			reads <- n
		}
	}()
	go func() {
		conn.Write([]byte("abcdefgh")) //nolint:errcheck // the reader counts
		conn.Close()
	}()
	total := 0
	for n := range reads {
		total += n
	}
	if total != 8 {
		t.Errorf("read %d bytes, want 8", total)
	}
}
