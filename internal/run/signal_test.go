//go:build unix

package run_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/run"
)

func TestSignalContext(t *testing.T) {
	ctx, stop := run.SignalContext(t.Context())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Error("SIGTERM did not end the context")
	}
}
