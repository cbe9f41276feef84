package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
)

// metrics are control's figures.
type metrics struct {
	connections prometheus.Gauge
	sessions    *prometheus.GaugeVec
	endpoints   *prometheus.GaugeVec
	refusals    *prometheus.CounterVec
	binds       *prometheus.CounterVec
}

// newMetrics registers them where there is a registry.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_agent_connections", Help: "Agents' connections, admitted or not."}),
		sessions:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_agent_sessions", Help: "Agents' sessions, by wire."}, []string{"transport"}),
		endpoints:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "postern_endpoints", Help: "Endpoints online, by scheme."}, []string{"scheme"}),
		refusals:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_agent_refusals_total", Help: "Agents that were not admitted, by error code."}, []string{"code"}),
		binds:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_binds_total", Help: "Requests to bind an endpoint, by error code; empty is success."}, []string{"code"}),
	}
	if registry != nil {
		registry.MustRegister(m.connections, m.sessions, m.endpoints, m.refusals, m.binds)
	}
	return m
}

func (m *metrics) refused(err error) {
	m.refusals.WithLabelValues(string(postern.AsError(err).Code)).Inc()
}

func (m *metrics) bound(err error) {
	code := ""
	if err != nil {
		code = string(postern.AsError(err).Code)
	}
	m.binds.WithLabelValues(code).Inc()
}
