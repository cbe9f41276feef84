package linktest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// awaitable: relays give their goroutine back while a stream is at rest, and nothing that
// happens to it may be missed then.
func awaitable(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	if _, ok := server.(link.Awaiter); !ok {
		t.Logf("%T is waited for with a goroutine", server)
		return
	}
	for range 3 {
		woken := await(t, server)
		mustWrite(t, agent, []byte("answer"))
		wakes(t, woken)
		if server.(link.Awaiter).AwaitReadable(func() { t.Error("woken though bytes are there") }) {
			t.Fatal("bytes are there, and are to be awaited")
		}
		if _, err := io.ReadFull(server, make([]byte, len("answer"))); err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	woken := await(t, server)
	if err := agent.CloseWrite(); err != nil {
		t.Fatalf("CloseWrite: %v", err)
	}
	wakes(t, woken)
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("Read: %v", err)
	}

	for name, end := range map[string]func(ours, theirs link.Stream){
		"the other end's reset": func(_, theirs link.Stream) { theirs.Reset(&postern.Error{Code: postern.CodeStreamReset}) },
		"our own reset":         func(ours, _ link.Stream) { ours.Reset(&postern.Error{Code: postern.CodeStreamReset}) },
		"our own close":         func(ours, _ link.Stream) { _ = ours.Close() },
	} {
		ours, theirs := e.open(t, nil)
		woken := await(t, ours)
		end(ours, theirs)
		wakes(t, woken)
		if _, err := ours.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("after %s: %v", name, err)
		}
	}
	ours, _ := e.open(t, nil)
	woken = await(t, ours)
	e.close()
	wakes(t, woken)
}

// await has a stream at rest tell when it can be read.
func await(t *testing.T, s link.Stream) <-chan struct{} {
	t.Helper()
	woken := make(chan struct{}, 2)
	if !s.(link.Awaiter).AwaitReadable(func() { woken <- struct{}{} }) {
		t.Fatal("a stream at rest cannot be awaited")
	}
	return woken
}

func wakes(t *testing.T, woken <-chan struct{}) {
	t.Helper()
	select {
	case <-woken:
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
}
