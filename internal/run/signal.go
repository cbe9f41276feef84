package run

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// SignalContext is done at the first SIGINT or SIGTERM. From then on the signals
// have their usual effect again, so that a second one ends a stop that takes too
// long. The caller must call stop.
func SignalContext(parent context.Context) (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
