package run_test

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/postern-dev/postern/internal/run"
)

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	env := func(name string) string { return map[string]string{"NOTIFY_SOCKET": path}[name] }
	if err := run.Notify(env, "READY=1", "STATUS=two\nlines"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := socket.Read(got)
	if err != nil || string(got[:n]) != "READY=1\nSTATUS=two lines" {
		t.Errorf("%q, %v", got[:n], err)
	}
	if err := run.Notify(func(string) string { return "" }, "READY=1"); err != nil {
		t.Errorf("without a socket: %v", err)
	}
	if err := run.Notify(func(string) string { return path + "x" }, "READY=1"); err == nil {
		t.Error("a socket that is not there is no error")
	}
}
