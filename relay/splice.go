package relay

import (
	"io"
	"net"
	"runtime"
	"time"
)

// spliceChunk bounds one call that moves bytes inside the kernel, so that counters
// and deadlines stay current.
const spliceChunk = 256 << 10

// canSplice tells whether the kernel can move the bytes by itself.
func (d *direction) canSplice() bool {
	return runtime.GOOS == "linux" && plainTCP(d.src) != nil && plainTCP(d.dst) != nil
}

// plainTCP finds the TCP connection that c is, or merely wraps.
func plainTCP(c Conn) *net.TCPConn {
	switch c := c.(type) {
	case *net.TCPConn:
		return c
	case *Peeked:
		if below, ok := c.Conn.(*net.TCPConn); ok && len(c.kept) == 0 && c.failed == nil {
			return below
		}
	}
	return nil
}

// splice is bulk without a buffer: io.Copy's fast path between two TCP connections,
// in chunks. Its pipe inside the kernel is held until a pause only.
func (d *direction) splice() step {
	src, dst := plainTCP(d.src), plainTCP(d.dst)
	before := d.armPause()
	for {
		d.armWrite(spliceChunk)
		d.writing.Store(true)
		n, err := dst.ReadFrom(&io.LimitedReader{R: src, N: spliceChunk})
		d.count(n) // first, as in deliver
		d.writing.Store(false)
		switch {
		case err == nil && n < spliceChunk:
			return d.readEnded(io.EOF)
		case err == nil:
		case timedOut(err):
			if !d.writeUntil.IsZero() && !time.Now().Before(d.writeUntil) {
				d.writeFailed(err)
				return over
			}
			if d.moved == before {
				return goQuiet
			}
			before = d.armPause()
		default:
			return d.spliceFailed(err)
		}
	}
}

// spliceFailed finds out which of the two connections broke, which the kernel's call
// does not say: one that only waits for bytes is well.
func (d *direction) spliceFailed(err error) step {
	var probe [1]byte
	_ = d.src.SetReadDeadline(time.Now().Add(-time.Second))
	if _, readErr := d.src.Read(probe[:]); readErr == nil || timedOut(readErr) {
		d.writeFailed(err)
	} else {
		d.pipe.fail(d.from, broken(err))
	}
	return over
}
