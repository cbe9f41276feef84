package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/flow"
	"github.com/postern-dev/postern/server/route"
)

// mostEndpoints bounds the number of label values: a server whose endpoints come and
// go must not grow its metrics for ever. Those that are idle longest are dropped
// when it is reached.
const mostEndpoints = 1000

// metrics collects what the edge does. A nil *metrics, and the nil *endpointMetrics
// that it gives, count nothing and cost a comparison.
type metrics struct {
	registerer prometheus.Registerer
	began      time.Time

	mu        sync.Mutex
	endpoints map[string]*endpointMetrics
	rejects   map[string]*atomic.Uint64
	flows     *flow.Counters // of udp endpoints
}

// endpointMetrics counts for one endpoint's URL. It follows the exchanges of its routes.
type endpointMetrics struct {
	Passive
	used     atomic.Int64 // when last, in seconds since metrics.began
	classes  [6]atomic.Uint64
	buckets  [len(durations) + 1]atomic.Uint64
	duration atomic.Int64 // nanoseconds, all together
	bytes    relay.Counters
	open     atomic.Int64
	dropped  atomic.Bool // no longer collected

	mu       sync.Mutex
	upgraded map[*relay.Counters]struct{} // of connections that are open, not in bytes yet
}

// durations are the upper bounds of the histogram's buckets, in seconds.
var durations = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120}

// classes name the kinds of answers; the first is for requests without one, because
// the visitor had gone.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

var (
	descRequests = prometheus.NewDesc("postern_edge_requests_total",
		"HTTP requests by endpoint and class of the answer's status.", []string{"endpoint", "code"}, nil)
	descDuration = prometheus.NewDesc("postern_edge_request_duration_seconds",
		"Time from a request's head to the end of its answer.", []string{"endpoint"}, nil)
	descBytes = prometheus.NewDesc("postern_edge_bytes_total",
		"Bytes of bodies and relayed connections; in is from the visitor.", []string{"endpoint", "direction"}, nil)
	descOpen = prometheus.NewDesc("postern_edge_open_connections",
		"Relayed and upgraded connections that are open.", []string{"endpoint"}, nil)
	descRejected = prometheus.NewDesc("postern_edge_rejected_total",
		"Connections that were turned away, by reason.", []string{"reason"}, nil)
)

func newMetrics(registerer prometheus.Registerer, flows *flow.Counters) *metrics {
	if registerer == nil {
		return nil
	}
	m := &metrics{
		registerer: registerer,
		began:      time.Now(),
		endpoints:  make(map[string]*endpointMetrics),
		rejects:    make(map[string]*atomic.Uint64),
	}
	m.flows = flows
	// A second edge on one registerer would be a mistake of ours; its numbers are lost
	// rather than the server.
	_ = registerer.Register(m)
	return m
}

func (m *metrics) unregister() {
	if m != nil {
		m.registerer.Unregister(m)
	}
}

// rejected counts a connection that was turned away.
func (m *metrics) rejected(reason string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rejects[reason] == nil {
		m.rejects[reason] = new(atomic.Uint64)
	}
	m.rejects[reason].Add(1)
}

// endpoint gives the counters of a route.
func (m *metrics) endpoint(r *route.Route) *endpointMetrics {
	if m == nil {
		return nil
	}
	name := r.URL.String()
	now := m.age(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.endpoints[name]
	if at == nil {
		if len(m.endpoints) >= mostEndpoints {
			m.dropIdle()
		}
		at = new(endpointMetrics)
		m.endpoints[name] = at
	}
	at.used.Store(now)
	return at
}

// age is a time in seconds since the beginning, whatever becomes of the wall clock.
func (m *metrics) age(at time.Time) int64 { return int64(at.Sub(m.began) / time.Second) }

// dropIdle makes room by a tenth, so that it is not called for every newcomer.
func (m *metrics) dropIdle() {
	for range mostEndpoints / 10 {
		oldest, since := "", int64(0)
		for name, at := range m.endpoints {
			if used := at.used.Load(); at.open.Load() == 0 && (oldest == "" || used < since) {
				oldest, since = name, used
			}
		}
		if at := m.endpoints[oldest]; at != nil {
			at.dropped.Store(true)
			delete(m.endpoints, oldest)
		}
	}
}

// request counts an answered request.
func (c *endpointMetrics) request(status int, took time.Duration, in, out int64) {
	class := 0
	if status >= 100 && status < 600 {
		class = status / 100
	}
	c.classes[class].Add(1)
	bucket := 0
	for bucket < len(durations) && took.Seconds() > durations[bucket] {
		bucket++
	}
	c.buckets[bucket].Add(1)
	c.duration.Add(int64(took))
	c.bytes.AToB.Add(in)
	c.bytes.BToA.Add(out)
}

// connection counts relayed connections that are open.
func (c *endpointMetrics) connection(change int64) {
	if c != nil {
		c.open.Add(change)
	}
}

// counters are what a relay.Pipe counts in.
func (c *endpointMetrics) counters() *relay.Counters {
	if c == nil {
		return nil
	}
	return &c.bytes
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descRequests, descDuration, descBytes, descOpen, descRejected, descDatagrams, descDropped, descFlows, descFlowsEnded} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for reason, count := range m.rejects {
		out <- prometheus.MustNewConstMetric(descRejected, prometheus.CounterValue, float64(count.Load()), reason)
	}
	for name, at := range m.endpoints {
		at.collect(name, out)
	}
	collectFlows(m.flows, out)
}

func (c *endpointMetrics) collect(name string, out chan<- prometheus.Metric) {
	for i := range c.classes {
		if n := c.classes[i].Load(); n > 0 {
			out <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(n), name, classes[i])
		}
	}
	buckets := make(map[float64]uint64, len(durations))
	total := uint64(0)
	for i, bound := range durations {
		total += c.buckets[i].Load()
		buckets[bound] = total
	}
	total += c.buckets[len(durations)].Load()
	if total > 0 {
		seconds := time.Duration(c.duration.Load()).Seconds()
		out <- prometheus.MustNewConstHistogram(descDuration, total, seconds, buckets, name)
	}
	in, sent := c.moved()
	out <- prometheus.MustNewConstMetric(descBytes, prometheus.CounterValue, float64(in), name, "in")
	out <- prometheus.MustNewConstMetric(descBytes, prometheus.CounterValue, float64(sent), name, "out")
	out <- prometheus.MustNewConstMetric(descOpen, prometheus.GaugeValue, float64(c.open.Load()), name)
}

var _ prometheus.Collector = (*metrics)(nil)
