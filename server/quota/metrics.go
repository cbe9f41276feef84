package quota

import "github.com/prometheus/client_golang/prometheus"

// Scopes are labels in metrics, by Meter.scope.
var scopes = [...]string{"account", "credential"}

// names are what can be refused, as labels, in the order of Meter.refused.
var names = [kinds]string{"sessions", "endpoints", "connections", "requests"}

func (m *Meter) scope() int {
	if m.account == nil {
		return 0
	}
	return 1
}

var (
	descRefused = prometheus.NewDesc("postern_limited_total",
		"What was refused because an account or a credential was at a limit.", []string{"limit", "scope"}, nil)
	descMeters = prometheus.NewDesc("postern_metered",
		"Accounts and credentials whose use is counted.", []string{"scope"}, nil)
)

// Describe implements prometheus.Collector.
func (s *Meters) Describe(out chan<- *prometheus.Desc) {
	out <- descRefused
	out <- descMeters
}

// Collect implements prometheus.Collector. The labels do not name accounts: there may be
// any number of them, and Usage lists them.
func (s *Meters) Collect(out chan<- prometheus.Metric) {
	all := s.all()
	s.mu.Lock()
	refused := s.past
	s.mu.Unlock()
	var count [len(scopes)]int
	for _, m := range all {
		count[m.scope()]++
		for kind := range m.refused {
			refused[kind][m.scope()] += m.refused[kind].Load()
		}
	}
	for scope, label := range scopes {
		out <- prometheus.MustNewConstMetric(descMeters, prometheus.GaugeValue, float64(count[scope]), label)
		for kind := range refused {
			out <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(refused[kind][scope]), names[kind], label)
		}
	}
}

var _ prometheus.Collector = (*Meters)(nil)
