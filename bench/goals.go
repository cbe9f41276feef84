package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// judged is the system whose figures are held against the goals.
const judged = "postern"

// basis says how a goal's figure is formed from the samples of a metric.
type basis int

const (
	medianRatio basis = iota // median, over direct's median
	bestRatio                // best round, over direct's best: latencies
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
			{"hol.paced p99", "hol.paced.p99_us", bestRatio, true, 5, "×"},
			{"slow.small p99", "slow.small.p99_us", bestRatio, true, 3.5, "×"},
			{"wan.down16 MiB/s", "wan.down16.mibs", medianRatio, false, 0.45, "×"},
			{"wan.hol p50", "wan.hol.p50_us", bestRatio, true, 1.2, "×"},
			{"recover", "recover.ms", absolute, true, 200, " ms"},
			{"idle WebSocket, server", "mem.ws.server_kib_per_conn", absolute, true, 35, " KiB"},
			{"idle WebSocket, agent", "mem.ws.agent_kib_per_conn", absolute, true, 22, " KiB"},
			{"idle agent, server", "mem.agents.server_kib_per_agent", absolute, true, 70, " KiB"},
		})
}

// figure is what r has for g; ok is false where it was not measured.
func (g goal) figure(r *Result) (v float64, ok bool) {
	ours, direct := r.Samples[judged][g.metric], r.Samples["direct"][g.metric]
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
	fmt.Fprintf(w, "| target | | %s | |\n|---|---:|---:|---|\n", judged)
	var missed []string
	measured := 0
	for _, g := range goals() {
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
