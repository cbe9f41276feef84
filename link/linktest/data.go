package linktest

import (
	"io"
	"sync"
	"testing"
)

func headerAndFirst(t *testing.T, e *ends) {
	first := []byte("GET / HTTP/1.1\r\n\r\n")
	server, err := e.server.Open(e.ctx, sampleHeader(), first)
	if err != nil {
		t.Fatal(err)
	}
	h, agent, err := e.agent.Accept(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleHeader()
	if h.Endpoint != want.Endpoint || h.ClientAddr != want.ClientAddr || h.PassthroughTLS != want.PassthroughTLS {
		t.Errorf("the header arrived as %+v, sent was %+v", h, want)
	}
	mustRead(t, agent, first)
	mustClose(t, server, agent)
}

func emptyFirst(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	mustWrite(t, agent, []byte("220 ready\r\n"))
	mustRead(t, server, []byte("220 ready\r\n"))
	mustWrite(t, server, []byte("QUIT\r\n"))
	mustRead(t, agent, []byte("QUIT\r\n"))
	mustClose(t, agent, server)
}

func ordering(t *testing.T, e *ends) {
	data := pattern(1<<20, 1)
	server, agent := e.open(t, data[:10])
	var wg sync.WaitGroup
	wg.Go(func() {
		sizes := []int{1, 2, 3, 7, 100, 1000, 4095, 16368, 16369, 40000, 70000}
		rest := data[10:]
		for i := 0; len(rest) > 0; i++ {
			n := min(sizes[i%len(sizes)], len(rest))
			mustWrite(t, server, rest[:n])
			rest = rest[n:]
		}
		if err := server.CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	})
	mustEnd(t, agent, data)
	wg.Wait()
	mustClose(t, server, agent)
}

func halfCloseByServer(t *testing.T, e *ends) {
	server, agent := e.open(t, []byte("question"))
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, agent, []byte("question"))
	answer := pattern(300<<10, 2) // more than a window
	var wg sync.WaitGroup
	wg.Go(func() {
		mustWrite(t, agent, answer)
		mustClose(t, agent)
	})
	mustEnd(t, server, answer)
	wg.Wait()
	if n, err := server.Write([]byte("late")); err == nil {
		t.Errorf("Write after CloseWrite took %d bytes", n)
	}
	mustClose(t, server)
}

func halfCloseByAgent(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	mustWrite(t, agent, []byte("banner"))
	if err := agent.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, server, []byte("banner"))
	upload := pattern(300<<10, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		mustWrite(t, server, upload)
		mustClose(t, server)
	})
	mustEnd(t, agent, upload)
	wg.Wait()
	mustClose(t, agent)
}

func largeBothWays(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	down, up := pattern(8<<20, 4), pattern(8<<20, 5)
	var wg sync.WaitGroup
	send := func(w interface {
		io.Writer
		CloseWrite() error
	}, data []byte) {
		mustWrite(t, w, data)
		if err := w.CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	}
	wg.Go(func() { send(server, up) })
	wg.Go(func() { send(agent, down) })
	wg.Go(func() { mustEnd(t, agent, up) })
	mustEnd(t, server, down)
	wg.Wait()
	mustClose(t, server, agent)
}
