package connector

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// nativeInterval and answerPatience are one rule for all our links: a ping every ten
	// seconds, dead after twenty without an answer.
	nativeInterval = 10 * time.Second
	answerPatience = 20 * time.Second
)

// watchLiveness pings, and ends the connection when nothing comes back. Over chisel's
// wire the operator says how often, and it is for the latency alone: that wire finds out
// by itself whether anything comes at all, from whoever it may be.
func (l *line) watchLiveness(ctx context.Context, w wire) {
	interval := nativeInterval
	if w.Fixed() {
		interval = l.route.gateway.KeepAlive
	}
	if interval <= 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-w.Done():
			return
		case <-ctx.Done():
			return
		}
		ping, cancel := context.WithTimeout(ctx, answerPatience)
		latency, err := w.Ping(ping)
		cancel()
		switch {
		case err == nil:
			l.mu.Lock()
			l.latency = latency
			l.mu.Unlock()
		case ctx.Err() != nil:
			return
		case w.Fixed():
		default:
			l.log.DebugContext(ctx, "no answer to a ping", slog.String("err", describe(err)))
			w.Close(postern.Errorf(postern.CodeLinkLost, "the gateway did not answer for %s", answerPatience))
			return
		}
	}
}
