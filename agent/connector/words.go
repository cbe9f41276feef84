package connector

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/postern-dev/postern"
)

// The messages about a connection, which Classic writes in the words of outsystemscc.
const (
	msgConnecting      = "connecting"
	msgConnected       = "connected"
	msgConnectionError = "connection error"
	msgRetrying        = "retrying"
	msgGiveUp          = "giving up"
	msgDisconnected    = "disconnected"
	msgCancelled       = "cancelled"
)

func (l *line) tellConnecting(ctx context.Context) {
	attrs := []any{slog.String("server", l.route.base.shown())}
	if proxy := l.route.gateway.Proxy; proxy != nil {
		attrs = append(attrs, slog.String("proxy", proxy.String()))
	}
	l.log.InfoContext(ctx, msgConnecting, attrs...)
}

// tellFailed says why a connection was not made or has ended, unless it simply ended.
func (l *line) tellFailed(ctx context.Context, err error) {
	if err == nil || errors.Is(err, io.EOF) {
		return
	}
	coded := postern.AsError(err)
	text := coded.Text()
	if coded.Message == "" {
		text = describe(err)
	}
	attrs := []any{slog.String("err", text), slog.Int("attempt", l.backoff.attempt), slog.Int("most", l.backoff.retry.Count)}
	if coded.Code != postern.CodeInternal {
		attrs = append(attrs, slog.String("code", string(coded.Code)))
	}
	l.log.WarnContext(ctx, msgConnectionError, attrs...)
}
