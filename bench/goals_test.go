package main

import (
	"strings"
	"testing"
)

// resultOf has three rounds of one metric, for direct and for Postern.
func resultOf(metric string, direct, ours []float64) *Result {
	return &Result{
		SUTs:    []string{"direct", judged},
		Samples: map[string]map[string][]float64{"direct": {metric: direct}, judged: {metric: ours}},
	}
}

func TestGoalIsMetOrMissed(t *testing.T) {
	for _, c := range []struct {
		name, metric string
		direct, ours []float64
		row, summary string
	}{
		{
			"a rate is compared by medians", "http.ka16.norm",
			[]float64{100, 100, 900}, []float64{28, 28, 1},
			"| http.ka16.norm | ≥ 0.28× | 0.280× | met |", "1 of 1 measured targets met.\n",
		},
		{
			"a rate that falls short", "tcp.down1.norm",
			[]float64{1000}, []float64{109},
			"| tcp.down1.norm | ≥ 0.11× | 0.109× | **MISSED** |",
			"0 of 1 measured targets met. Missed: tcp.down1.norm (0.109×, target ≥ 0.11×).",
		},
		{
			"a latency is compared by best rounds", "hol.paced.p99_us",
			[]float64{900, 100, 900}, []float64{9000, 9000, 500},
			"| hol.paced p99 | ≤ 5× | 5.00× | met |", "1 of 1",
		},
		{
			"a latency above its bound", "slow.small.p99_us",
			[]float64{100}, []float64{351},
			"| slow.small p99 | ≤ 3.5× | 3.51× | **MISSED** |", "Missed: slow.small p99 (3.51×, target ≤ 3.5×).",
		},
		{
			"memory has no direct figure", "mem.ws.agent_kib_per_conn",
			nil, []float64{22.5},
			"| idle WebSocket, agent | ≤ 22 KiB | 22.50 KiB | **MISSED** |", "0 of 1",
		},
		{
			"recovery has none either", "recover.ms",
			nil, []float64{34, 3000, 35},
			"| recover | ≤ 200 ms | 35.00 ms | met |", "1 of 1",
		},
		{
			"a ratio without direct is not measured", "http.up1.norm",
			nil, []float64{100},
			"| http.up1.norm | ≥ 0.11× | – | not measured |", "0 of 0 measured targets met.\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			resultOf(c.metric, c.direct, c.ours).outcome(&b)
			if !strings.Contains(b.String(), c.row+"\n") {
				t.Errorf("no row %q in:\n%s", c.row, &b)
			}
			if !strings.Contains(b.String(), c.summary) {
				t.Errorf("no summary %q in:\n%s", c.summary, &b)
			}
		})
	}
}

// A run that measured nothing says so for every goal, and claims nothing.
func TestGoalsWithoutFigures(t *testing.T) {
	var b strings.Builder
	(&Result{SUTs: []string{judged, judgedChisel, judgedOwn}}).outcome(&b)
	if got, want := strings.Count(b.String(), "| – | not measured |"), len(goals()); got != want {
		t.Errorf("%d rows of %d say that they were not measured:\n%s", got, want, &b)
	}
	if strings.Contains(b.String(), "Missed") {
		t.Errorf("a miss was claimed:\n%s", &b)
	}
}

// The report is where the goals are seen without a run.
func TestReportHasGoals(t *testing.T) {
	var b strings.Builder
	resultOf("http.ka64.norm", []float64{100}, []float64{20}).markdown(&b)
	for _, want := range []string{"| http.ka64.norm | 100.0 | 20.0 (0.20×) |", "| http.ka64.norm | ≥ 0.28× | 0.200× | **MISSED** |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
}

// The figures of a private gateway are held against chisel's, and where its systems did
// not run there is no word of them.
func TestGoalsAgainstAnotherSystem(t *testing.T) {
	const metric = "gw.down1.cpu_server_s_per_gib"
	r := &Result{SUTs: []string{"direct", "chisel", judgedChisel}, Samples: map[string]map[string][]float64{
		"direct": {metric: {0.1}}, "chisel": {metric: {5, 4, 6}}, judgedChisel: {metric: {3.1, 3.1, 2}}}}
	var b strings.Builder
	r.outcome(&b)
	for _, want := range []string{"| chisel client: gw.down1 server CPU | ≤ 0.6× chisel | 0.620× chisel | **MISSED** |", "0 of 1 measured targets met"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "connector:") || strings.Contains(b.String(), "http.ka16") {
		t.Errorf("goals of systems that did not run:\n%s", &b)
	}
}
