package gateway

import (
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
)

// Record is what became of one consumer's connection or UDP flow.
type Record struct {
	At       time.Time // when it began
	Duration time.Duration
	Account  postern.AccountID // whose gateway it is
	Gateway  string            // its id
	Name     postern.Hostname
	Network  string // "tcp" or "udp"
	Port     uint16
	Consumer Consumer

	// Where it was taken.
	Connector     string // its id; "" where nobody took it
	ConnectorAddr string
	Target        string

	BytesIn, BytesOut int64          // from the consumer, to the consumer
	Failure           *postern.Error // nil: both ends have ended it in peace
}

// Outcome is "ok", or the code of what went wrong.
func (r Record) Outcome() string {
	if r.Failure == nil {
		return "ok"
	}
	return string(r.Failure.Code)
}

// record writes down what became of a visit.
func (r *Runtime) record(v *visit, why *postern.Error) {
	d := v.endpoint.gateway.definition.Load()
	one := Record{
		At: v.began, Duration: time.Since(v.began), Account: d.Account, Gateway: d.ID, Name: d.Name,
		Network: v.endpoint.key.network, Port: v.endpoint.key.port, Consumer: v.consumer,
		BytesIn: v.in, BytesOut: v.out, Failure: why,
	}
	if m := v.member; m != nil {
		one.Connector, one.ConnectorAddr, one.Target = m.connector.id, m.connector.addr, m.target
	} else if why != nil {
		r.metrics.refused(why.Code)
	}
	v.endpoint.gateway.count.ended(one)
	if r.config.Audit != nil {
		r.config.Audit(one)
	}
	if log := r.live.Load().AccessLog; log != nil {
		log.LogAttrs(r.ctx, slog.LevelInfo, "gateway connection", one.attrs()...)
	}
}

func (r Record) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("kind", r.Network),
		slog.String("gateway", r.Gateway),
		slog.String("name", r.Name.String()),
		slog.Int("port", int(r.Port)),
		slog.String("client", r.Consumer.Addr.String()),
		slog.Float64("duration_ms", float64(r.Duration.Microseconds())/1000),
		slog.Int64("bytes_in", r.BytesIn),
		slog.Int64("bytes_out", r.BytesOut),
		slog.String("outcome", r.Outcome()),
	}
	if r.Consumer.Session != "" {
		attrs = append(attrs, slog.String("session", string(r.Consumer.Session)), slog.String("account", string(r.Consumer.Account)),
			slog.String("credential", string(r.Consumer.Credential)))
	}
	if r.Connector != "" {
		attrs = append(attrs, slog.String("connector", r.Connector), slog.String("connector_addr", r.ConnectorAddr), slog.String("target", r.Target))
	}
	return attrs
}
