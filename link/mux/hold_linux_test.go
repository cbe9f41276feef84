package mux_test

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/link/mux"
)

// B5-9: on a narrow path bulk waits in the multiplexer, where it stands behind
// everybody else, and not in the kernel. A ping beside an upload finds what is on
// the path before it: a queue of 24 KiB, 200 ms, and a little more.
func TestBulkDoesNotWaitInTheKernel(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, there := path.Between(t, path.Both(path.Way{Delay: 20 * time.Millisecond, Rate: 1_000_000, Queue: 24 << 10}))
	listener, err := net.Listen("tcp", p.Near().String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialled net.Conn
	if err := there.Do(func() (err error) {
		dialled, err = net.Dial("tcp", listener.Addr().String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client := mux.New(dialled, mux.Config{Client: true})
	server := mux.New(accepted, mux.Config{})
	defer func() {
		client.Close(nil)
		server.Close(nil)
		<-client.Closed()
		<-server.Closed()
	}()
	if _, err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	near, far := opened(t, client, server)
	go io.Copy(io.Discard, far) //nolint:errcheck // ends with the session
	go func() {
		piece := make([]byte, 64<<10)
		for {
			if _, err := near.Write(piece); err != nil {
				return
			}
		}
	}()
	var times []time.Duration
	for range 20 {
		took, err := client.Ping(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, took)
	}
	slices.Sort(times)
	t.Logf("pings beside an upload: p50 %v, p90 %v, most %v", times[len(times)/2], times[len(times)*9/10], times[len(times)-1])
	if median := times[len(times)/2]; median > 500*time.Millisecond {
		t.Errorf("a ping beside an upload took %v", median)
	}
}
