package native_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
)

// What a visitor's stream opens with arrives whole, however the path has it cut.
func TestLargeOpeningsArriveWhole(t *testing.T) {
	for _, roundTrip := range []time.Duration{0, 40 * time.Millisecond} {
		for _, size := range []int{1, 1 << 10, 5 << 10, 6 << 10, 200 << 10} {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				defer f.close()
				native.SetPath(roundTrip, f.client, native.ServerOf(f.hub))
				first := bytes.Repeat([]byte("opening "), size/8+1)[:size]
				got := make(chan []byte, 1)
				go func() {
					_, stream, err := f.client.Accept(t.Context())
					if err != nil {
						t.Error(err)
						got <- nil
						return
					}
					defer stream.Close()
					b := make([]byte, size)
					if _, err := io.ReadFull(stream, b); err != nil {
						t.Error(err)
					}
					got <- b
				}()
				stream, err := f.admitted.Session.Open(t.Context(), link.Header{Scheme: postern.HTTPS}, first)
				if err != nil {
					t.Fatal(err)
				}
				if b := <-got; !bytes.Equal(b, first) {
					t.Errorf("%v: an opening with %d bytes arrived as %d others", roundTrip, size, len(b))
				}
				stream.Close()
			})
		}
	}
}
