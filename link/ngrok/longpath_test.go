package ngrok_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	sdk "golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/link"
)

// farAway gives an address that leads to address over a path of 25 ms each way.
func farAway(t *testing.T, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carriers sync.WaitGroup
	carriers.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				near.Close()
				continue
			}
			carriers.Go(func() { late(far, near, 25*time.Millisecond) })
			carriers.Go(func() { late(near, far, 25*time.Millisecond) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		carriers.Wait()
	})
	return listener.Addr().String()
}

// late copies from one connection to the other, each byte as much later.
func late(to, from net.Conn, by time.Duration) {
	type piece struct {
		due time.Time
		b   []byte
	}
	pieces := make(chan piece, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range pieces {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.b); err != nil {
				from.Close()
			}
		}
		to.Close()
	}()
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		if n > 0 {
			pieces <- piece{time.Now().Add(by), b[:n]}
		}
		if err != nil {
			close(pieces)
			<-done
			return
		}
	}
}

// B5-8: an SDK written in Go is told more than the 256 KiB a round trip that it was
// made for, and uses it.
func TestSDKSendsMoreThanAWindowARoundTrip(t *testing.T) {
	const window, size = 256 << 10, 32 << 20
	h := startHost(t)
	h.address = farAway(t, h.address)
	a, admitted := h.connect(t)
	listener, err := a.Listen(t.Context(), sdk.WithURL("tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write(make([]byte, size))
			conn.Close()
		}
		sent <- err
	}()
	stream, err := admitted.Session.Open(t.Context(), link.Header{Endpoint: listener.ID(), ClientAddr: header.ClientAddr, Scheme: header.Scheme}, nil)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	n, err := io.Copy(io.Discard, stream)
	took := time.Since(started)
	if err != nil || n != size {
		t.Errorf("%d bytes arrived, %v", n, err)
	}
	stream.Close()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	t.Logf("%d MiB over 50 ms took %v", size>>20, took)
	if fixed := size / window * 50 * time.Millisecond; took > fixed/2 {
		t.Errorf("%d MiB over 50 ms took %v; windows that do not grow take %v", size>>20, took, fixed)
	}
}
