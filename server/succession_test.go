//go:build unix

package server_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/handover"
)

// B5-4: a running process whose patience ends in the last moment goes on, and the
// newcomer ends: else both would serve, each as if it were alone.
func TestNewcomerEndsWhereTheRunningProcessGoesOn(t *testing.T) {
	c := testConfig(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	over := runningThatGivesUp(t, c.DataDir)
	ready := make(chan struct{}, 1)
	s, err := server.New(c, server.Options{Logger: testkit.Logger(t), Upgrade: true, Ready: func() { ready <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !postern.HasCode(err, postern.CodeServerBusy) {
		t.Errorf("the newcomer ended with %v", err)
	}
	if err := <-over; err == nil {
		t.Error("the running process has retired")
	}
	select {
	case <-ready:
		t.Error("the newcomer said that it was ready")
	default:
	}
}

// runningThatGivesUp plays a running process that waits no longer after it has given
// the ports.
func runningThatGivesUp(t *testing.T, dir string) <-chan error {
	t.Helper()
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	ln, err := handover.Listen(dir, "control.sock")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	running := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			over <- err
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: postern-hand-over\r\n\r\n"))
		ctx, giveUp := context.WithCancel(context.Background())
		giver := handover.Giver{Lock: lock, Retire: func(give func(handover.PortSockets) error) error {
			giveUp()
			_ = give(handover.PortSockets{})
			return postern.Errorf(postern.CodeServerBusy, "it took too long")
		}}
		over <- giver.Give(ctx, conn.(*net.UnixConn))
	})}
	go func() { _ = running.Serve(ln) }()
	t.Cleanup(func() { running.Close() })
	return over
}
