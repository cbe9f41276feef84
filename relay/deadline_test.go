package relay_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
)

func TestPipeEndsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		j := join(t, memory, memory, relay.Options{Idle: time.Minute})
		r := <-j.done
		if r.Err == nil || r.Err.Code != postern.CodeIdle || r.By != relay.Neither {
			t.Fatalf("result %+v", r)
		}
		if took := time.Since(started); took != time.Minute {
			t.Fatalf("ended after %s", took)
		}
		if _, err := j.visitor.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("visitor read %v, want a reset", err)
		}
	})
}

// Timeouts end idle transfers, never long ones: a byte now and then, in one direction
// only, keeps both alive.
func TestPipeOutlivesItsIdleTime(t *testing.T) {
	// Over TLS it matters that deadlines which pass while reading do no harm.
	memoryTLS := func(t testing.TB) (outer, inner relay.Conn) {
		a, b := memory(t)
		return testkitTLS(t, a, b)
	}
	cases := map[string]struct {
		via  maker
		size int
	}{
		"trickle":      {memory, 1},
		"bulk":         {memory, 100 << 10},
		"TLS, trickle": {memoryTLS, 1},
		"TLS, bulk":    {memoryTLS, 100 << 10},
	}
	for name, c := range cases {
		size := c.size
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, c.via, c.via, relay.Options{Idle: time.Minute, MinRate: 100})
				piece := make([]byte, size)
				for range 100 {
					go func() { _, _ = j.service.Write(piece) }()
					if _, err := io.ReadFull(j.visitor, piece); err != nil {
						t.Fatal(err)
					}
					time.Sleep(59 * time.Second)
				}
				last := time.Now()
				if r := <-j.done; r.Err == nil || r.Err.Code != postern.CodeIdle || r.BToA != int64(100*size) {
					t.Fatalf("result %+v", r)
				}
				if took := time.Since(last); took > 3*time.Second {
					t.Fatalf("ended %s after its time", took)
				}
			})
		})
	}
}

// B5-10: a reader that stops is cut off, and holds no more than buffers meanwhile.
func TestPipeCutsOffSlowReaders(t *testing.T) {
	cases := map[string]struct {
		options relay.Options
		within  time.Duration
	}{
		"by rate": {relay.Options{MinRate: 32 << 10}, 15 * time.Second},
		"by idle": {relay.Options{Idle: time.Minute}, 3 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				j := join(t, memory, memory, c.options)
				go func() {
					for {
						if _, err := j.service.Write(make([]byte, 64<<10)); err != nil {
							return
						}
					}
				}()
				r := <-j.done
				if r.Err == nil || r.Err.Code != postern.CodeIdle || r.By != relay.Neither {
					t.Fatalf("result %+v", r)
				}
				if took := time.Since(started); took > c.within {
					t.Fatalf("ended after %s", took)
				}
			})
		})
	}
}

// A reader that is slow, but takes what it must, is left alone.
func TestPipeToleratesReadersAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		j := join(t, memory, memory, relay.Options{Idle: 10 * time.Second, MinRate: 2 << 10})
		go send(t, j.service, 1, size)
		got := make([]byte, 0, size)
		for piece := make([]byte, 4<<10); ; {
			n, err := j.visitor.Read(piece)
			got = append(got, piece[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			time.Sleep(time.Second)
		}
		// Draining the last buffers took longer than Idle, and was not disturbed either.
		if r := <-j.done; len(got) != size || r.Err == nil || r.Err.Code != postern.CodeIdle {
			t.Fatalf("%d bytes, result %+v", len(got), r)
		}
	})
}

func TestPipeHasNoDeadlinesUnlessAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, memory, memory, relay.Options{})
		write(t, j.visitor, string(make([]byte, 8<<10))) // makes the direction busy first
		if _, err := io.ReadFull(j.service, make([]byte, 8<<10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * 24 * time.Hour)
		write(t, j.visitor, "still there?")
		expect(t, j.service, "still there?")
		_ = j.visitor.Close()
		_ = j.service.Close()
		<-j.done
	})
}
