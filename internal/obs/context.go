package obs

import (
	"context"
	"log/slog"
	"slices"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
)

type attrsKey struct{}

// With returns a context whose log lines carry attrs besides those that ctx has:
// request_id, endpoint, session, account.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, attrsKey{}, slices.Concat(attrsOf(ctx), attrs))
}

func attrsOf(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}

// NewRequestID makes the id of one visitor's request or connection: unique, and
// sorted by time to the second.
func NewRequestID() postern.RequestID {
	return postern.RequestID("req_" + ksuid.New().String())
}
