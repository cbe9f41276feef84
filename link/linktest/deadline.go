package linktest

import (
	"errors"
	"os"
	"testing"
	"time"
)

func readDeadline(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	limit, _ := e.ctx.Deadline()
	for range 3 {
		_ = server.SetReadDeadline(time.Now().Add(soon))
		if n, err := server.Read(make([]byte, 8)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read after its deadline: %d bytes, %v", n, err)
		}
	}
	_ = server.SetReadDeadline(limit)
	mustWrite(t, agent, []byte("still alive"))
	mustRead(t, server, []byte("still alive"))
	mustClose(t, server, agent)
}

func readDeadlineFreesPending(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	result := make(chan error, 1)
	_ = agent.SetReadDeadline(time.Time{})
	go func() {
		_, err := agent.Read(make([]byte, 8))
		result <- err
	}()
	_ = agent.SetReadDeadline(time.Now().Add(soon))
	select {
	case err := <-result:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the pending Read failed with %v", err)
		}
	case <-e.ctx.Done():
		t.Fatal("SetReadDeadline did not free a pending Read")
	}
	limit, _ := e.ctx.Deadline()
	_ = agent.SetReadDeadline(limit)
	mustWrite(t, server, []byte("on"))
	mustRead(t, agent, []byte("on"))
	mustClose(t, server, agent)
}

// writeDeadline fills everything between the ends until Write has to give up, and
// sees that exactly what Write said it took arrives.
func writeDeadline(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	limit, _ := e.ctx.Deadline()
	data := pattern(64<<20, 6)
	_ = server.SetWriteDeadline(time.Now().Add(soon))
	n, err := server.Write(data)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == len(data) {
		t.Fatalf("Write to a reader who stopped: %d bytes, %v", n, err)
	}
	if k, err := server.Write([]byte("x")); k != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write after its deadline: %d bytes, %v", k, err)
	}
	_ = server.SetWriteDeadline(limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		mustWrite(t, server, []byte("the end"))
		if err := server.CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	}()
	mustEnd(t, agent, append(data[:n:n], "the end"...))
	<-done
	mustClose(t, server, agent)
}
