package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// judged is the system whose figures are held against the goals, and those of private
// gateways: with chisel's client, and with our connector.
const (
	judged       = "postern"
	judgedChisel = "postern-chisel"
	judgedOwn    = "postern-connect"
)

// basis says how a goal's figure is formed from the samples of a metric.
type basis int

const (
	medianRatio basis = iota // median, over the other system's median
	bestRatio                // best round, over the other system's best: latencies
	absolute                 // median, in the metric's own unit
)

// goal is a figure that Postern is to reach.
type goal struct {
	row    string // as a reader calls it
	metric string // of Result.Samples
	basis  basis
	atMost bool // the figure is to be limit at most, else at least
	limit  float64
	unit   string // behind the figure

	system  string // whose it is; "" is judged
	against string // the other system of a ratio; "" is direct
}

func (g goal) names() (system, against string) {
	return cmp.Or(g.system, judged), cmp.Or(g.against, "direct")
}

// goals are what the relay is to reach on two cores, with TLS 1.3 between server
// and agent, in the order of the report.
func goals() []goal {
	norm := func(limit float64, rows ...string) (list []goal) {
		for _, row := range rows {
			list = append(list, goal{row: row + ".norm", metric: row + ".norm", limit: limit, unit: "×"})
		}
		return list
	}
	return slices.Concat(
		norm(0.28, "http.ka16", "http.ka64", "http.ka256"),
		norm(0.35, "http.newconn"),
		norm(0.11, "http.down1", "http.up1", "http.down16", "http.up16", "tcp.down1", "tcp.down16"),
		norm(0.28, "tcp.connect"),
		norm(0.22, "tcp.echo64"),
		[]goal{
			{row: "hol.paced p99", metric: "hol.paced.p99_us", basis: bestRatio, atMost: true, limit: 5, unit: "×"},
			{row: "slow.small p99", metric: "slow.small.p99_us", basis: bestRatio, atMost: true, limit: 3.5, unit: "×"},
			{row: "wan.down16 MiB/s", metric: "wan.down16.mibs", limit: 0.45, unit: "×"},
			{row: "wan.hol p50", metric: "wan.hol.p50_us", basis: bestRatio, atMost: true, limit: 1.2, unit: "×"},
			{row: "recover", metric: "recover.ms", basis: absolute, atMost: true, limit: 200, unit: " ms"},
			{row: "idle WebSocket, server", metric: "mem.ws.server_kib_per_conn", basis: absolute, atMost: true, limit: 35, unit: " KiB"},
			{row: "idle WebSocket, agent", metric: "mem.ws.agent_kib_per_conn", basis: absolute, atMost: true, limit: 22, unit: " KiB"},
			{row: "idle agent, server", metric: "mem.agents.server_kib_per_agent", basis: absolute, atMost: true, limit: 70, unit: " KiB"},
		},
		gatewayGoals())
}

// gatewayGoals are what a private gateway is to reach: with chisel's own client against
// chisel's server, and with our connector against both of chisel's.
func gatewayGoals() (list []goal) {
	for _, row := range []string{"gw.down1", "gw.down32", "gw.up1", "gw.up32"} {
		list = append(list, goal{row: "chisel client: " + row + " server CPU", metric: row + ".cpu_server_s_per_gib",
			atMost: true, limit: 0.6, unit: "× chisel", system: judgedChisel, against: "chisel"})
	}
	list = append(list, goal{row: "chisel client: gw.connect", metric: "gw.connect.rps", limit: 1.3, unit: "× chisel", system: judgedChisel, against: "chisel"})
	for _, row := range []string{"gw.down1", "gw.down32", "gw.up1", "gw.up32"} {
		list = append(list, goal{row: "connector: " + row + " MiB/s", metric: row + ".mibs", limit: 3, unit: "× chisel", system: judgedOwn, against: "chisel"})
	}
	own := func(row, metric string, atMost bool, limit float64, unit string) goal {
		return goal{row: "connector: " + row, metric: metric, basis: absolute, atMost: atMost, limit: limit, unit: unit, system: judgedOwn}
	}
	return append(list,
		goal{row: "connector: gw.connect", metric: "gw.connect.rps", limit: 2, unit: "× chisel", system: judgedOwn, against: "chisel"},
		own("idle connection, server", "idle.server_kib_per_conn", true, 12, " KiB"),
		own("idle connection, connector", "idle.agent_kib_per_conn", true, 12, " KiB"),
		own("idle connector, anonymous memory", "idle.agent_anon_kib", true, 6*1024, " KiB"),
		own("50,000 datagrams a second, lost", "gw.udp.oneway.lost_percent", true, 0, " %"),
		own("UDP sources that are answered", "gw.udp.sources", false, udpSources, ""),
		own("thin link, 8 downloads: small p50", "thin.hol.p50_us", true, 50_000, " µs"))
}

// judged tells whether one of Postern's systems ran.
func (r *Result) judged() bool {
	return slices.ContainsFunc(goals(), func(g goal) bool {
		system, _ := g.names()
		return slices.Contains(r.SUTs, system)
	})
}

// figure is what r has for g; ok is false where it was not measured.
func (g goal) figure(r *Result) (v float64, ok bool) {
	system, against := g.names()
	ours, direct := r.Samples[system][g.metric], r.Samples[against][g.metric]
	if len(ours) == 0 {
		return 0, false
	}
	of := median
	if g.basis == bestRatio {
		of = slices.Min[[]float64]
	}
	v = of(ours)
	if g.basis == absolute {
		return v, true
	}
	if len(direct) == 0 || of(direct) == 0 {
		return 0, false
	}
	return v / of(direct), true
}

// met compares what is measured, not what is printed of it.
func (g goal) met(v float64) bool {
	if g.atMost {
		return v <= g.limit
	}
	return v >= g.limit
}

func (g goal) bound() string {
	sign := "≥"
	if g.atMost {
		sign = "≤"
	}
	return fmt.Sprintf("%s %g%s", sign, g.limit, g.unit)
}

// outcome writes the goals with what was measured beside them, and then which are
// missed. A goal that this run did not measure is neither met nor missed.
func (r *Result) outcome(w io.Writer) {
	fmt.Fprintf(w, "| target | | measured | |\n|---|---:|---:|---|\n")
	var missed []string
	measured := 0
	for _, g := range goals() {
		if system, _ := g.names(); !slices.Contains(r.SUTs, system) {
			continue
		}
		v, ok := g.figure(r)
		switch {
		case !ok:
			fmt.Fprintf(w, "| %s | %s | – | not measured |\n", g.row, g.bound())
			continue
		case g.met(v):
			fmt.Fprintf(w, "| %s | %s | %s | met |\n", g.row, g.bound(), g.show(v))
		default:
			fmt.Fprintf(w, "| %s | %s | %s | **MISSED** |\n", g.row, g.bound(), g.show(v))
			missed = append(missed, fmt.Sprintf("%s (%s, target %s)", g.row, g.show(v), g.bound()))
		}
		measured++
	}
	fmt.Fprintf(w, "\n%d of %d measured targets met.", measured-len(missed), measured)
	if len(missed) > 0 {
		fmt.Fprintf(w, " Missed: %s.", strings.Join(missed, "; "))
	}
	fmt.Fprintln(w)
}

// show has digits enough to tell a miss from its bound.
func (g goal) show(v float64) string {
	if g.basis == medianRatio {
		return fmt.Sprintf("%.3f%s", v, g.unit)
	}
	return fmt.Sprintf("%.2f%s", v, g.unit)
}
