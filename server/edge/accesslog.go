package edge

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern/server/route"
)

// accessLog is the subscriber that writes a line for every exchange.
type accessLog struct {
	Passive
	log *slog.Logger
}

// Subscribe implements Subscriber.
func (a *accessLog) Subscribe(*route.Route) Subscription {
	return Subscription{Needs: NeedOutcome, Follow: a.follow}
}

func (a *accessLog) follow(*Exchange) Follower { return a }

// End implements Follower.
func (a *accessLog) End(x *Exchange) {
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "request", x.attrs()...)
}

// attrs are the access log's fields; docs/access-log.md says what they mean.
func (x *Exchange) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", string(x.ID())),
		slog.String("kind", "http"),
		slog.String("client", x.visitor.client.String()),
		slog.String("method", x.head.method()),
		slog.String("scheme", x.Scheme()),
		slog.String("host", x.head.hostText()),
		slog.String("path", x.head.path()),
		slog.String("protocol", x.head.protocol()),
		slog.Int("status", x.status),
		slog.Float64("duration_ms", milliseconds(x.times.Ended.Sub(x.times.Started))),
		slog.Int64("bytes_in", x.received),
		slog.Int64("bytes_out", x.sent),
		slog.String("user_agent", first(x.head.values("User-Agent"))),
	}
	if x.route != nil {
		attrs = append(attrs, slog.String("endpoint", x.route.URL.String()))
	}
	if x.forwarded.to != nil {
		attrs = append(attrs, slog.String("forwarded_to", x.forwarded.to.URL.String()))
	}
	if x.member != "" {
		attrs = append(attrs, slog.String("endpoint_id", string(x.member)))
	}
	if x.client.addr.IsValid() && x.client.addr != x.visitor.client.Addr() {
		attrs = append(attrs, slog.String("forwarded_for", x.client.addr.String()))
	}
	attrs = append(attrs, x.visitor.certificateAttrs()...)
	if x.failure != nil {
		attrs = append(attrs, slog.String("error_code", string(x.failure.Code)))
	}
	return attrs
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

var (
	_ Subscriber = (*accessLog)(nil)
	_ Follower   = (*accessLog)(nil)
)
