package relay_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/postern-dev/postern/relay"
)

// BenchmarkRelay sends messages through a pipe and back: 64 B is a terminal's, 64 KiB
// a download's.
func BenchmarkRelay(b *testing.B) {
	for name, pair := range map[string][2]maker{
		"tcp":        {loopback, loopback},
		"tls to tcp": {encrypted, loopback},
		"memory":     {memory, memory},
	} {
		for _, size := range []int{64, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%dB", name, size), func(b *testing.B) {
				j := join(b, pair[0], pair[1], relay.Options{Idle: time.Minute, MinRate: 1 << 10})
				go func() { _, _ = io.Copy(j.service, j.service) }()
				out, in := make([]byte, size), make([]byte, size)
				b.SetBytes(2 * int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := j.visitor.Write(out); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(j.visitor, in); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				_ = j.visitor.Close()
				_ = j.service.Close()
				<-j.done
			})
		}
	}
}

// A message through a pipe allocates nothing, there and back, small or large.
// (crypto/tls allocates for each record that it reads.)
func TestPipeAllocatesNothing(t *testing.T) {
	j := join(t, loopback, loopback, relay.Options{Idle: time.Minute, MinRate: 1 << 10})
	go func() { _, _ = io.Copy(j.service, j.service) }()
	for _, size := range []int{64, 64 << 10} {
		out, in := make([]byte, size), make([]byte, size)
		allocs := testing.AllocsPerRun(300, func() {
			_, _ = j.visitor.Write(out)
			_, _ = io.ReadFull(j.visitor, in)
		})
		if allocs != 0 {
			t.Errorf("%d bytes there and back: %.0f allocations", size, allocs)
		}
	}
	_ = j.visitor.Close()
	_ = j.service.Close()
	<-j.done
}
