package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern/relay/flow"
)

var (
	descDatagrams = prometheus.NewDesc("postern_edge_datagrams_total",
		"Datagrams of udp endpoints; in is from visitors, the dropped ones too.", []string{"direction"}, nil)
	descDropped = prometheus.NewDesc("postern_edge_datagrams_dropped_total",
		"Datagrams of udp endpoints that were dropped, by reason.", []string{"reason"}, nil)
	descFlows = prometheus.NewDesc("postern_edge_flows",
		"Flows of udp endpoints that are open: sources that sent or were sent something lately.", nil, nil)
	descFlowsEnded = prometheus.NewDesc("postern_edge_flows_total",
		"Flows of udp endpoints so far, and how many of them were refused, ended because they were idle, or made room for others.", []string{"event"}, nil)
)

func collectFlows(c *flow.Counters, out chan<- prometheus.Metric) {
	count := func(desc *prometheus.Desc, n int64, label string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), label)
	}
	count(descDatagrams, c.DatagramsIn.Load(), "in")
	count(descDatagrams, c.DatagramsOut.Load(), "out")
	for _, why := range flow.Drops() {
		count(descDropped, c.Dropped(why), why.String())
	}
	out <- prometheus.MustNewConstMetric(descFlows, prometheus.GaugeValue, float64(c.Open.Load()))
	count(descFlowsEnded, c.Opened.Load(), "opened")
	count(descFlowsEnded, c.Refused.Load(), "refused")
	count(descFlowsEnded, c.Expired.Load(), "expired")
	count(descFlowsEnded, c.Evicted.Load(), "evicted")
}
