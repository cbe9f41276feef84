package linktest

import (
	"io"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// readable: the edge keeps a stream for its next request only where it can tell that
// nothing came behind the last answer.
func readable(t *testing.T, e *ends) {
	server, agent := e.open(t, []byte("ask"))
	can, ok := server.(link.Readable)
	if !ok {
		t.Fatalf("%T cannot tell", server)
	}
	if can.Readable() {
		t.Error("something is there to begin with")
	}
	mustWrite(t, agent, []byte("answer"))
	awaitReadable(t, can)
	if _, err := io.ReadFull(server, make([]byte, len("answer"))); err != nil {
		t.Fatalf("Read: %v", err)
	}
	if can.Readable() {
		t.Error("something is left")
	}
	if err := agent.CloseWrite(); err != nil {
		t.Fatalf("CloseWrite: %v", err)
	}
	awaitReadable(t, can)

	server, agent = e.open(t, []byte("ask"))
	agent.Reset(&postern.Error{Code: postern.CodeStreamReset})
	awaitReadable(t, server.(link.Readable))
}

func awaitReadable(t *testing.T, s link.Readable) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); !s.Readable(); <-ticker.C {
		if time.Since(began) > patience {
			t.Fatal("what has come is not noticed")
		}
	}
}
