package dns

import (
	miekg "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// transport is what a question came over.
type transport int

const (
	overUDP transport = iota
	overTCP
)

// metrics are counters whose labels have been looked up.
type metrics struct {
	answers     [2]map[int]prometheus.Counter // by response codes
	others      [2]prometheus.Counter
	slipped     prometheus.Counter
	dropped     prometheus.Counter
	unsent      prometheus.Counter
	turnedAway  prometheus.Counter
	connections prometheus.Gauge
}

func newMetrics(to prometheus.Registerer) *metrics {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_dns_answers_total",
		Help: "DNS questions that were answered, by transport and response code."}, []string{"transport", "code"})
	limited := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_dns_limited_total",
		Help: "DNS answers above a network's limit: dropped, or slipped, which has the asker come again over TCP."}, []string{"what"})
	m := &metrics{
		slipped: limited.WithLabelValues("slipped"), dropped: limited.WithLabelValues("dropped"),
		unsent: prometheus.NewCounter(prometheus.CounterOpts{Name: "postern_dns_unsent_total",
			Help: "DNS answers that could not be sent."}),
		turnedAway: prometheus.NewCounter(prometheus.CounterOpts{Name: "postern_dns_connections_turned_away_total",
			Help: "TCP connections for DNS that were closed at once because there were too many."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "postern_dns_connections",
			Help: "TCP connections for DNS that are open."}),
	}
	for over, name := range [...]string{overUDP: "udp", overTCP: "tcp"} {
		m.answers[over] = make(map[int]prometheus.Counter)
		for _, code := range []int{miekg.RcodeSuccess, miekg.RcodeNameError, miekg.RcodeRefused, miekg.RcodeServerFailure, miekg.RcodeBadVers} {
			m.answers[over][code] = answers.WithLabelValues(name, miekg.RcodeToString[code])
		}
		m.others[over] = answers.WithLabelValues(name, "OTHER")
	}
	if to != nil {
		to.MustRegister(answers, limited, m.unsent, m.turnedAway, m.connections)
	}
	return m
}

func (m *metrics) count(over transport, code int) {
	if counter := m.answers[over][code]; counter != nil {
		counter.Inc()
		return
	}
	m.others[over].Inc()
}
