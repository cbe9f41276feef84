//go:build unix

package handover

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-dev/postern"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestActivated(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for what, env := range map[string]map[string]string{
		"nothing": {}, "another process": {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, "none": {"LISTEN_PID": pid, "LISTEN_FDS": "0"},
	} {
		if listeners, err := Activated(environment(env)); len(listeners) > 0 || err != nil {
			t.Errorf("%s: %v, %v", what, listeners, err)
		}
	}
	for what, env := range map[string]map[string]string{
		"no number": {"LISTEN_PID": pid, "LISTEN_FDS": "x"}, "too many": {"LISTEN_PID": pid, "LISTEN_FDS": "65"},
	} {
		if _, err := Activated(environment(env)); !postern.HasCode(err, postern.CodeConfigInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]string{"https": "listen.https", "web": ""} {
		number := descriptor(t, ln.(*net.TCPListener))
		got, err := activated(environment(map[string]string{"LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}), number)
		switch {
		case want == "":
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || len(got) != 1 || got[0].Name != want || got[0].Address != AnyAddress || got[0].Addr().String() != ln.Addr().String():
			t.Errorf("%s: %v, %v", name, got, err)
		default:
			_ = got[0].Close()
		}
	}
}

// descriptor gives a number of its own for a listener, which belongs to whoever uses it.
func descriptor(t *testing.T, ln *net.TCPListener) (number int) {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { number, failed = unix.Dup(int(fd)) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return number
}

// A service manager that asks is told who the main process is.
func TestNotifyReady(t *testing.T) {
	if err := NotifyReady(environment(nil)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := NotifyReady(environment(map[string]string{"NOTIFY_SOCKET": path})); err != nil {
		t.Fatal(err)
	}
	_ = manager.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 100)
	n, err := manager.Read(b)
	if want := "MAINPID=" + strconv.Itoa(os.Getpid()) + "\nREADY=1"; string(b[:n]) != want || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := NotifyReady(environment(map[string]string{"NOTIFY_SOCKET": path + "x"})); err == nil {
		t.Error("nobody listens, and no error")
	}
}
