package connector

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/postern-dev/postern"
)

const (
	adminPatience = 10 * time.Second
	adminIdle     = 2 * time.Minute
)

// ServeAdmin answers GET /metrics, for Prometheus, and GET /healthz, which is 200 while
// every gateway is connected and every remote online, and 503 with what is not else. It
// blocks until ctx ends. Errors are CodeFlagInvalid.
func (c *Connector) ServeAdmin(ctx context.Context, listener net.Listener) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(c))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", c.healthz)
	server := &http.Server{
		Handler: knownHost(mux), ReadHeaderTimeout: adminPatience, ReadTimeout: adminPatience, WriteTimeout: adminPatience,
		IdleTimeout: adminIdle, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return postern.Errorf(postern.CodeFlagInvalid, "metrics and health cannot be served at %s: %v", listener.Addr(), err)
	}
	return nil
}

// knownHost refuses requests whose Host is a name: a page on the web can make a browser
// send those here by rebinding its own name, but it cannot make it say an address or
// localhost.
func knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _ := splitPort(r.Host)
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "the Host header must be an address or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// health is the body of /healthz.
type health struct {
	Status   string          `json:"status"` // ok, degraded
	Gateways []gatewayHealth `json:"gateways"`
}

type gatewayHealth struct {
	Name      string         `json:"name"`
	Connected bool           `json:"connected"`
	Wire      string         `json:"wire,omitempty"`
	Error     string         `json:"error,omitempty"`
	Remotes   []remoteHealth `json:"remotes"`
}

type remoteHealth struct {
	Remote string `json:"remote"`
	Online bool   `json:"online"`
	Well   bool   `json:"well"`
	Error  string `json:"error,omitempty"`
}

func (c *Connector) healthz(w http.ResponseWriter, _ *http.Request) {
	now := c.Status()
	answer, status := health{Status: "ok", Gateways: []gatewayHealth{}}, http.StatusOK
	if !now.Healthy() {
		answer.Status, status = "degraded", http.StatusServiceUnavailable
	}
	for _, g := range now.Gateways {
		one := gatewayHealth{Name: g.Name, Connected: g.Connected, Wire: g.Wire, Error: g.Err, Remotes: []remoteHealth{}}
		for _, p := range g.Ports {
			remote := remoteHealth{Remote: p.Remote.String(), Online: p.Online, Well: p.Well, Error: p.Refusal}
			if !p.Well {
				remote.Error = p.Latest
			}
			one.Remotes = append(one.Remotes, remote)
		}
		answer.Gateways = append(answer.Gateways, one)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}

// collector makes metrics of a Status at every scrape.
type collector struct {
	c *Connector

	connected, connections, latency                                  *prometheus.Desc
	online, well, total, open, refused, failed, received, sent, lost *prometheus.Desc
}

func newCollector(c *Connector) *collector {
	ofGateway := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("postern_connector_"+name, help, []string{"gateway"}, nil)
	}
	ofRemote := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("postern_connector_remote_"+name, help, []string{"gateway", "network", "port", "target"}, nil)
	}
	return &collector{
		c:           c,
		connected:   ofGateway("connected", "Whether there is a connection to the gateway."),
		connections: ofGateway("connections_total", "Connections to the gateway that were made."),
		latency:     ofGateway("latency_seconds", "How long the gateway took for its last answer."),
		online:      ofRemote("online", "Whether the gateway offers the port."),
		well:        ofRemote("well", "Whether the target passes its checks; 1 where it has none."),
		total:       ofRemote("connections_total", "Connections of consumers, or flows of UDP."),
		open:        ofRemote("connections_open", "Connections of consumers that are open."),
		refused:     ofRemote("refused_total", "Connections that the connector did not serve."),
		failed:      ofRemote("failed_total", "Connections whose target could not be reached."),
		received:    ofRemote("received_bytes_total", "Bytes from consumers."),
		sent:        ofRemote("sent_bytes_total", "Bytes to consumers."),
		lost:        ofRemote("datagrams_lost_total", "Datagrams that were dropped here."),
	}
}

// Describe implements prometheus.Collector.
func (m *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connected, m.connections, m.latency, m.online, m.well, m.total, m.open, m.refused, m.failed, m.received, m.sent, m.lost} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	for _, g := range m.c.Status().Gateways {
		gauge(m.connected, truth(g.Connected), g.Name)
		counter(m.connections, g.Connections, g.Name)
		gauge(m.latency, g.Latency.Seconds(), g.Name)
		for _, p := range g.Ports {
			labels := []string{g.Name, p.Remote.Network, strconv.Itoa(int(p.Remote.Port)), p.Remote.Target()}
			gauge(m.online, truth(p.Online), labels...)
			gauge(m.well, truth(p.Well), labels...)
			counter(m.total, p.Total, labels...)
			gauge(m.open, float64(p.Open), labels...)
			counter(m.refused, p.Refused, labels...)
			counter(m.failed, p.Failed, labels...)
			counter(m.received, p.Received, labels...)
			counter(m.sent, p.Sent, labels...)
			counter(m.lost, p.Lost, labels...)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var _ prometheus.Collector = (*collector)(nil)
