package chisel

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a connection that notes how it is written to.
type recorder struct {
	net.Conn
	writes [][]byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.writes = append(r.writes, bytes.Clone(b))
	return len(b), nil
}

func (*recorder) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*recorder) SetReadDeadline(time.Time) error  { return nil }
func (*recorder) SetWriteDeadline(time.Time) error { return nil }
func (*recorder) Close() error                     { return nil }

// buffered is one that takes several buffers at once.
type buffered struct{ recorder }

func (b *buffered) WriteBuffers(buffers *net.Buffers) (int64, error) {
	whole := bytes.Join(*buffers, nil)
	_, _ = b.Write(whole)
	return int64(len(whole)), nil
}

// A packet of SSH, which comes in two pieces, leaves in one write: behind TLS each would
// be a record.
func TestAPacketLeavesInOneWrite(t *testing.T) {
	first, rest := bytes.Repeat([]byte{1}, pieceSize), bytes.Repeat([]byte{2}, 28<<10+20)
	want := append(append([]byte{0x82, 126, pieceSize >> 8, 0}, first...), 0x82, 126, byte(len(rest)>>8), byte(len(rest)))
	want = append(want, rest...)
	for _, c := range []struct {
		name  string
		below func() (net.Conn, *recorder)
	}{
		{"to a connection that takes one buffer", func() (net.Conn, *recorder) { r := &recorder{}; return r, r }},
		{"to one that takes several", func() (net.Conn, *recorder) { b := &buffered{}; return b, &b.recorder }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				below, seen := c.below()
				conn := newConn(below, nil, true, netip.Addr{})
				for range 3 {
					for _, piece := range [][]byte{first, rest} {
						if n, err := conn.Write(piece); n != len(piece) || err != nil {
							t.Fatal(n, err)
						}
					}
				}
				if len(seen.writes) != 3 {
					t.Errorf("three packets left in %d writes", len(seen.writes))
				}
				for _, one := range seen.writes {
					if !bytes.Equal(one, want) {
						t.Errorf("a write of %d bytes, and not %d", len(one), len(want))
					}
				}
				_ = conn.Close()
				synctest.Wait()
				if n, err := conn.Write(rest); n != 0 || err == nil {
					t.Errorf("after Close %d bytes were taken: %v", n, err)
				}
			})
		})
	}
}
