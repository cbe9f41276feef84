package edge

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
)

// A reader who stops is cut after the idle time; one who reads is not, however long
// it takes; and crypto/tls may ask for less, as it does when it closes.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := testkit.Pipe()
		defer ours.Close()
		defer theirs.Close()
		var d writeDeadline
		d.limit(time.Minute)
		write := func() (time.Duration, error) {
			began := time.Now()
			d.renew(ours)
			_, err := ours.Write(make([]byte, 64<<10))
			return time.Since(began), err
		}
		for range 10 {
			go func() {
				time.Sleep(50 * time.Second)
				_, _ = io.ReadFull(theirs, make([]byte, 64<<10))
			}()
			if _, err := write(); err != nil {
				t.Fatalf("a slow reader: %v", err)
			}
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		_ = d.set(ours, time.Time{}) // as net/http does after a request
		if _, err := write(); err != nil {
			t.Fatalf("into an empty buffer: %v", err)
		}
		if took, err := write(); !errors.Is(err, os.ErrDeadlineExceeded) || took > time.Minute {
			t.Errorf("a reader who stopped: %v after %s", err, took)
		}
		_ = d.set(ours, time.Now().Add(5*time.Second)) // as crypto/tls does before its farewell
		if took, err := write(); !errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second {
			t.Errorf("closing: %v after %s", err, took)
		}
		d.limit(0)
		_ = d.set(ours, time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_, _ = io.ReadFull(theirs, make([]byte, 64<<10))
		}()
		if took, err := write(); err != nil || took != time.Hour {
			t.Errorf("handed over: %v after %s", err, took)
		}
	})
}
