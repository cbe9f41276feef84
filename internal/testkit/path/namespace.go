//go:build linux

package path

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace: devices, addresses, routes, ports and packet
// filters of its own. It lives until it is closed and everything in it (sockets,
// processes, devices) is gone.
type Namespace struct{ file *os.File }

// NewNamespace makes a namespace that has only a loopback device.
func NewNamespace() (*Namespace, error) {
	made, err := unshare()
	if err != nil {
		return nil, err
	}
	n := &Namespace{made}
	if err := n.Do(func() error { return ip("link", "set", "lo", "up") }); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Here is the namespace of the calling thread.
func Here() (*Namespace, error) {
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	return &Namespace{file}, nil
}

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// Do calls f in the namespace. Sockets that f opens and processes that it starts
// belong there for good and may be used from everywhere; goroutines that it starts
// run outside.
func (n *Namespace) Do(f func() error) (err error) {
	runtime.LockOSThread()
	home, err := Here()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	defer func() {
		// A thread that cannot go back stays locked and ends with its goroutine.
		if back := unix.Setns(int(home.file.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// unshare makes a namespace. The thread on which that happens goes back and lives on: with
// a thread that ends, the kernel kills the processes that were started on it and asked to
// be told of their parent's death (Pdeathsig), whoever started them.
func unshare() (made *os.File, err error) {
	runtime.LockOSThread()
	home, err := Here()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	defer func() {
		// A thread that cannot go back stays locked and ends with its goroutine.
		if back := unix.Setns(int(home.file.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return os.Open("/proc/thread-self/ns/net")
}

// ip runs iproute2's ip in the calling thread's namespace.
func ip(args ...string) error {
	if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}
