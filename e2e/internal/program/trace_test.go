package program_test

import (
	"testing"

	"github.com/postern-dev/postern/e2e/internal/program"
)

const printed = `SCHED 0ms: gomaxprocs=2 idleprocs=1 threads=3
  P0: status=1 schedtick=0 syscalltick=0 m=0 runqsize=0 gfreecnt=0 timerslen=0
  M0: p=0 curg=1 mallocing=0 throwing=0 preemptoff= locks=0
  G1: status=2() m=0 lockedm=0
  G17: status=4(force gc (idle)) m=nil lockedm=nil
  G18: status=6() m=nil lockedm=nil
hello from the program
gc 1 @0.017s 0%: 0.25+49+0.014 ms clock, 0.51+0.26/0.16/0.095+0.028 ms cpu, 5->9->8 MB, 9 MB goal, 0 MB stacks, 0 MB globals, 2 P
SCHED 2003ms: gomaxprocs=2 idleprocs=2 threads=9
  G1: status=4(select) m=nil lockedm=nil
`

func TestTraceReadsTheRuntime(t *testing.T) {
	process, err := program.Start("sleep", nil, nil, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	for _, portion := range []int{1, 7, len(printed)} { // however the pipe cuts it
		trace := &program.Trace{}
		for rest := printed; rest != ""; {
			n := min(portion, len(rest))
			_, _ = trace.Write([]byte(rest[:n])) // never fails
			rest = rest[n:]
		}
		held, err := trace.Holding(process)
		if err != nil {
			t.Fatal(err)
		}
		if held.Goroutines != 2 || held.Heap != 8<<20 || held.Descriptors < 3 || held.Resident == 0 {
			t.Errorf("portions of %d: %+v", portion, held)
		}
		if got := trace.Output(); got != "hello from the program\n" {
			t.Errorf("portions of %d: the program's own lines are %q", portion, got)
		}
	}
}

func TestSampleFindsItsMetric(t *testing.T) {
	text := []byte("# HELP a_total x\na_total_more 3\na_total 1.5e+06\n")
	if value, err := program.Sample(text, "a_total"); err != nil || value != 1.5e6 {
		t.Errorf("%v, %v", value, err)
	}
	if _, err := program.Sample(text, "a"); err == nil {
		t.Error("a metric that is not there was found")
	}
}
