// Package ports gives tests ports of this machine that are theirs until they give them
// back, also while nobody listens there: between a server's end and its next start, or
// where a test wants a port that nobody has. Port 0 is better wherever it will do.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/postern-dev/postern/internal/run"
)

// The ports are below those that systems hand out for port 0 and to whoever dials, which
// is from 32768 on, or higher.
const first, end = 21000, 32000

// Claim is neighbouring ports that no other claim on this machine has.
type Claim struct {
	First int
	locks []*os.File
}

// Take claims n neighbouring ports of which nobody uses any on 127.0.0.1, for TCP or UDP.
// It never blocks. The claim ends with Release, and with the process.
func Take(n int) (*Claim, error) {
	start := rand.IntN(end - first)
	for i := range end - first {
		if c, err := TakeAt(first+(start+i)%(end-first), n); c != nil || err != nil {
			return c, err
		}
	}
	return nil, errors.New("no free range of ports")
}

// TakeAt is Take for n ports from one on; nil without an error means that they are not free.
func TakeAt(from, n int) (*Claim, error) {
	if from < first || from+n > end {
		return nil, nil
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("postern-test-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &Claim{First: from}
	for at := from; at < from+n; at++ {
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(at)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			c.Release()
			return nil, err
		}
		c.locks = append(c.locks, lock)
		if run.Lock(lock) != nil || !free(at) {
			c.Release()
			return nil, nil
		}
	}
	return c, nil
}

// free tells whether nobody uses a port now.
func free(port int) bool {
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	defer ln.Close()
	conn, err := net.ListenPacket("udp", at)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// All lists the ports.
func (c *Claim) All() []int {
	all := make([]int, len(c.locks))
	for i := range all {
		all[i] = c.First + i
	}
	return all
}

// Release gives the ports back.
func (c *Claim) Release() {
	for _, lock := range c.locks {
		_ = lock.Close()
	}
}

// For is Take for a test, which gives the ports back at its end.
func For(t testing.TB, n int) *Claim {
	t.Helper()
	c, err := Take(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}

// Address is a port of 127.0.0.1 that nobody else uses during the test.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(For(t, 1).First))
}
