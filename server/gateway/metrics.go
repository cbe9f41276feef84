package gateway

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/flow"
)

// mostGateways bounds the number of label values: gateways beyond it are counted
// together, as "other".
const mostGateways = 1000

// metrics counts what the runtime does.
type metrics struct {
	registerer prometheus.Registerer // nil: nobody collects
	runtime    *Runtime

	mu      sync.Mutex
	refusal map[postern.Code]uint64
}

// gatewayMetrics counts for one gateway.
type gatewayMetrics struct {
	id      string
	open    atomic.Int64
	in, out atomic.Int64
	flows   flow.Counters
	ends    [outcomes]atomic.Uint64 // of connections
}

// The ways in which connections end.
const (
	endedOK = iota
	endedFailed
	endedRefused // nobody took it
	outcomes
)

var (
	descConnectors = prometheus.NewDesc("postern_gateway_connectors", "Connectors of a private gateway that are connected.", []string{"gateway"}, nil)
	descEndpoints  = prometheus.NewDesc("postern_gateway_endpoints", "Ports of a private gateway that are open.", []string{"gateway"}, nil)
	descOpen       = prometheus.NewDesc("postern_gateway_open_connections", "Consumers' connections and UDP flows that are open.", []string{"gateway"}, nil)
	descEnded      = prometheus.NewDesc("postern_gateway_connections_total", "Consumers' connections and UDP flows that are over.", []string{"gateway", "outcome"}, nil)
	descBytes      = prometheus.NewDesc("postern_gateway_bytes_total", "Bytes relayed; in is from consumers.", []string{"gateway", "direction"}, nil)
	descDropped    = prometheus.NewDesc("postern_gateway_datagrams_dropped_total", "Datagrams that did not fit.", []string{"gateway"}, nil)
	descRefused    = prometheus.NewDesc("postern_gateway_refused_total", "Connectors, ports and consumers that were refused, by the reason's code.", []string{"reason"}, nil)
)

func newMetrics(registerer prometheus.Registerer, r *Runtime) *metrics {
	m := &metrics{registerer: registerer, runtime: r, refusal: make(map[postern.Code]uint64)}
	if registerer != nil {
		_ = registerer.Register(m) // a second one's numbers are lost rather than the server
	}
	return m
}

func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}

func (m *metrics) gateway(id string) *gatewayMetrics { return &gatewayMetrics{id: id} }

// refused counts who got nothing.
func (m *metrics) refused(code postern.Code) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal[code]++ // as many as the catalogue has codes, at most
}

// ended counts a connection that is over.
func (g *gatewayMetrics) ended(r Record) {
	switch {
	case r.Failure == nil:
		g.ends[endedOK].Add(1)
	case r.Connector == "":
		g.ends[endedRefused].Add(1)
	default:
		g.ends[endedFailed].Add(1)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descConnectors, descEndpoints, descOpen, descEnded, descBytes, descDropped, descRefused} {
		to <- desc
	}
}

// reading is what is collected of a gateway.
type reading struct {
	id                          string
	connectors, endpoints, open int64
	in, out                     int64
	dropped                     int64
	ends                        [outcomes]uint64
}

func (r *reading) add(o reading) {
	r.connectors, r.endpoints, r.open = r.connectors+o.connectors, r.endpoints+o.endpoints, r.open+o.open
	r.in, r.out, r.dropped = r.in+o.in, r.out+o.out, r.dropped+o.dropped
	for i := range r.ends {
		r.ends[i] += o.ends[i]
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	all := m.read()
	if len(all) > mostGateways {
		rest := reading{id: "other"}
		for _, one := range all[mostGateways:] {
			rest.add(one)
		}
		all = append(all[:mostGateways:mostGateways], rest)
	}
	gauge := func(desc *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	for _, one := range all {
		gauge(descConnectors, one.connectors, one.id)
		gauge(descEndpoints, one.endpoints, one.id)
		gauge(descOpen, one.open, one.id)
		for i, outcome := range [outcomes]string{"ok", "failed", "refused"} {
			counter(descEnded, float64(one.ends[i]), one.id, outcome)
		}
		counter(descBytes, float64(one.in), one.id, "in")
		counter(descBytes, float64(one.out), one.id, "out")
		counter(descDropped, float64(one.dropped), one.id)
	}
	m.mu.Lock()
	refusals := maps.Clone(m.refusal)
	m.mu.Unlock()
	for code, count := range refusals {
		counter(descRefused, float64(count), string(code))
	}
}

// read gives the gateways in the order of their age.
func (m *metrics) read() []reading {
	r := m.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]reading, 0, len(r.gateways))
	for _, g := range r.gateways {
		one := reading{id: g.count.id, connectors: int64(len(g.connectors)), endpoints: int64(len(g.endpoints)), open: g.count.open.Load(),
			in: g.count.in.Load(), out: g.count.out.Load(), dropped: g.count.flows.AllDropped()}
		for i := range one.ends {
			one.ends[i] = g.count.ends[i].Load()
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b reading) int { return cmp.Compare(a.id, b.id) })
	return all
}

var _ prometheus.Collector = (*metrics)(nil)
