package linktest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// pumps: a stream that hands on and fetches by itself does so in order, and ends as Read and
// Write do.
func pumps(t *testing.T, e *ends) {
	server, agent := e.open(t, nil)
	if _, ok := server.(link.Pump); !ok {
		t.Logf("%T has no goroutines of its own", server)
		return
	}
	pourInOrder(t, server, agent)
	drawInOrder(t, server, agent)
	pourEnds(t, e)
	drawEnds(t, e)
}

// pourInOrder also sees that the ends that leave a stream usable lose nothing.
func pourInOrder(t *testing.T, s, peer link.Stream) {
	t.Helper()
	want := pattern(1<<20, 3)
	go func() {
		for at := 0; at < len(want); { // some fill what a stream waits with, and no more
			n := min(len(want)-at, 1+at%4096, len(want)-at)
			if at%3 == 0 {
				n = min(len(want)-at, 512)
			}
			mustWrite(t, peer, want[at:at+n])
			at += n
		}
	}()
	var got []byte
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil { // what Read leaves is Pour's
		t.Fatal(err)
	}
	got = append(got, want[0])
	running := 0
	for stops := 0; len(got) < len(want); stops++ {
		if stops%2 == 1 {
			_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
		}
		err := s.(link.Pump).Pour(func(b []byte) bool {
			running++
			got = append(got, b...)
			defer func() { running-- }()
			return len(got) < len(want) && len(got)%7 != 0
		})
		if running != 0 {
			t.Fatal("take was running when Pour returned")
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Pour: %v", err)
		}
		_ = s.SetReadDeadline(time.Now().Add(patience))
	}
	if !bytes.Equal(got, want) {
		t.Fatal("bytes changed or were lost")
	}
}

func drawInOrder(t *testing.T, s, peer link.Stream) {
	t.Helper()
	want := pattern(1<<20, 4)
	at := 0
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		for at < len(want) {
			pieces := 0
			err := s.(link.Pump).Draw(func(b []byte) int {
				if pieces++; pieces > 3 {
					return 0
				}
				n := copy(b[:min(len(b), 1+at%9000)], want[at:])
				at += n
				return n
			})
			if err != nil {
				t.Errorf("Draw: %v", err)
				return
			}
			if at < len(want) { // behind what was drawn
				mustWrite(t, s, want[at:at+1])
				at++
			}
		}
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("bytes changed or were lost: %v", err)
	}
	<-drawn
}

// pourEnds: every end frees a Pour, with Read's error.
func pourEnds(t *testing.T, e *ends) {
	reset := &postern.Error{Code: postern.CodeStreamReset}
	for name, test := range map[string]struct {
		end  func(ours, theirs link.Stream)
		want func(error) bool
	}{
		"their last word": {func(_, theirs link.Stream) { _ = theirs.CloseWrite() }, func(err error) bool { return err == io.EOF }},
		"their reset":     {func(_, theirs link.Stream) { theirs.Reset(reset) }, func(err error) bool { return !errors.Is(err, io.EOF) }},
		"our reset":       {func(ours, _ link.Stream) { ours.Reset(reset) }, func(err error) bool { return postern.HasCode(err, postern.CodeStreamReset) }},
		"our close":       {func(ours, _ link.Stream) { _ = ours.Close() }, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		"the deadline": {func(ours, _ link.Stream) { _ = ours.SetReadDeadline(time.Now()) },
			func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
	} {
		ours, theirs := e.open(t, nil)
		mustWrite(t, theirs, []byte("some words"))
		taken, over := make(chan struct{}), make(chan error, 1)
		go func() {
			over <- ours.(link.Pump).Pour(func(b []byte) bool {
				taken <- struct{}{}
				return true
			})
		}()
		<-taken
		test.end(ours, theirs)
		if err := soonOver(t, name, over); err == nil || !test.want(err) {
			t.Errorf("after %s Pour gave %v", name, err)
		}
		mustClose(t, ours, theirs)
	}
}

// drawEnds: every end frees a Draw whose bytes nobody takes, with Write's error.
func drawEnds(t *testing.T, e *ends) {
	reset := &postern.Error{Code: postern.CodeStreamReset}
	for name, test := range map[string]struct {
		end  func(ours, theirs link.Stream)
		want func(error) bool
	}{
		"their reset": {func(_, theirs link.Stream) { theirs.Reset(reset) }, func(err error) bool { return err != nil }},
		"our reset":   {func(ours, _ link.Stream) { ours.Reset(reset) }, func(err error) bool { return postern.HasCode(err, postern.CodeStreamReset) }},
		"our close":   {func(ours, _ link.Stream) { _ = ours.Close() }, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		"the deadline": {func(ours, _ link.Stream) { _ = ours.SetWriteDeadline(time.Now()) },
			func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
	} {
		ours, theirs := e.open(t, nil)
		mustWrite(t, theirs, []byte("go on")) // some wires open a stream only for who uses it
		filled, over := make(chan struct{}, 1), make(chan error, 1)
		go func() {
			over <- ours.(link.Pump).Draw(func(b []byte) int {
				select {
				case filled <- struct{}{}:
				default:
				}
				return len(b)
			})
		}()
		<-filled
		test.end(ours, theirs)
		if err := soonOver(t, name, over); !test.want(err) {
			t.Errorf("after %s Draw gave %v", name, err)
		}
		ours.Reset(reset)
		theirs.Reset(reset)
		mustClose(t, ours, theirs)
	}
}

func soonOver(t *testing.T, name string, over <-chan error) error {
	t.Helper()
	select {
	case err := <-over:
		return err
	case <-time.After(patience):
		t.Fatalf("%s frees nobody", name)
		return nil
	}
}
