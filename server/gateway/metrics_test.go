package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/gateway"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		w := newWorld(t, func(_ *rows, c *gateway.Config) { c.Metrics = registry })
		w.connect("203.0.113.1:1000", "1", 8081)
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
			t.Fatal(err)
		}
		open := w.dial("127.64.0.1:8081")
		defer open.Close()
		wrong, _ := secret("pgw_1", 5)
		_ = w.admit(newConnector("203.0.113.1:1000"), wrong, link.GatewayHello{Gateway: "sg_1"})
		synctest.Wait()
		want := `
# HELP postern_gateway_bytes_total Bytes relayed; in is from consumers.
# TYPE postern_gateway_bytes_total counter
postern_gateway_bytes_total{direction="in",gateway="pgw_1"} 8
postern_gateway_bytes_total{direction="out",gateway="pgw_1"} 8
# HELP postern_gateway_connections_total Consumers' connections and UDP flows that are over.
# TYPE postern_gateway_connections_total counter
postern_gateway_connections_total{gateway="pgw_1",outcome="failed"} 0
postern_gateway_connections_total{gateway="pgw_1",outcome="ok"} 1
postern_gateway_connections_total{gateway="pgw_1",outcome="refused"} 0
# HELP postern_gateway_connectors Connectors of a private gateway that are connected.
# TYPE postern_gateway_connectors gauge
postern_gateway_connectors{gateway="pgw_1"} 1
# HELP postern_gateway_datagrams_dropped_total Datagrams that did not fit.
# TYPE postern_gateway_datagrams_dropped_total counter
postern_gateway_datagrams_dropped_total{gateway="pgw_1"} 0
# HELP postern_gateway_endpoints Ports of a private gateway that are open.
# TYPE postern_gateway_endpoints gauge
postern_gateway_endpoints{gateway="pgw_1"} 1
# HELP postern_gateway_open_connections Consumers' connections and UDP flows that are open.
# TYPE postern_gateway_open_connections gauge
postern_gateway_open_connections{gateway="pgw_1"} 1
# HELP postern_gateway_refused_total Connectors, ports and consumers that were refused, by the reason's code.
# TYPE postern_gateway_refused_total counter
postern_gateway_refused_total{reason="ERR_POSTERN_602"} 1
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	})
}
