package soak_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// explain makes every process print its goroutines and ends it.
func explain(t *testing.T, s *stage) {
	for _, a := range s.watched {
		a.process.Signal(syscall.SIGQUIT)
		if _, err := a.process.Wait(10 * time.Second); err != nil {
			t.Error(err)
		}
		output := a.process.Output()
		if a.trace != nil {
			output = a.trace.Output()
		}
		t.Logf("---- goroutines of the %s:\n%s", a.name, summary(output))
	}
}

// summary of a crash dump: how many goroutines stand where, the most first.
func summary(dump string) string {
	counts := map[string]int{}
	for goroutine := range strings.SplitSeq(dump, "\n\n") {
		if !strings.HasPrefix(goroutine, "goroutine ") {
			continue
		}
		var ours []string // the frames that are this module's
		for line := range strings.Lines(goroutine) {
			if name, found := strings.CutPrefix(called(line), "github.com/postern-dev/postern/"); found && len(ours) < 3 {
				ours = append(ours, name)
			}
		}
		counts[strings.Join(ours, " < ")]++
	}
	places := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	var b strings.Builder
	for _, place := range places {
		fmt.Fprintf(&b, "%6d %s\n", counts[place], cmp.Or(place, "elsewhere"))
	}
	return b.String()
}

// called is the function in a line of a goroutine's stack, without its arguments.
func called(line string) string {
	if creator, found := strings.CutPrefix(line, "created by "); found {
		name, _, _ := strings.Cut(creator, " in goroutine ")
		return name
	}
	return line[:max(0, strings.LastIndexByte(line, '('))]
}

func TestSummaryCountsPlaces(t *testing.T) {
	const dump = `SIGQUIT: quit

goroutine 1 gp=0x1 m=nil [select]:
runtime.gopark(0x1?, 0x2?)
	/usr/local/go/src/runtime/proc.go:462 +0xce
github.com/postern-dev/postern/link/mux.(*Session).keep(0x20fe388c6c08)
	/src/link/mux/flush.go:111 +0x65
created by github.com/postern-dev/postern/link/mux.New in goroutine 12271
	/src/link/mux/session.go:112 +0x69d

goroutine 2 gp=0x1 m=nil [select (no cases)]:
github.com/postern-dev/postern/server/edge.(*exchange).upgrade.func1()
	/src/server/edge/upgrade.go:49 +0x65

goroutine 3 gp=0x1 m=nil [select (no cases)]:
github.com/postern-dev/postern/server/edge.(*exchange).upgrade.func1()
	/src/server/edge/upgrade.go:49 +0x65

goroutine 4 gp=0x1 m=nil [IO wait]:
internal/poll.runtime_pollWait(0x1, 0x72)
`
	const want = `     2 server/edge.(*exchange).upgrade.func1
     1 elsewhere
     1 link/mux.(*Session).keep < link/mux.New
`
	if got := summary(dump); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
