package program

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// Trace reads what the Go runtime tells about a program that has no debug listener:
// goroutines every few seconds, and the live heap at every collection. It is the
// standard error of a process that was started with TraceEnvironment, and may be
// read meanwhile.
type Trace struct {
	mu         sync.Mutex
	part       []byte // of a line
	counting   int
	goroutines int        // of the last list that was whole
	heap       int64      // bytes, rounded down to MiB by the runtime
	rest       Transcript // lines that are not the runtime's
}

// TraceEnvironment makes the runtime of a Go program print what Trace reads.
func TraceEnvironment() string { return "GODEBUG=schedtrace=2000,scheddetail=1,gctrace=1" }

// Write takes what the process prints.
func (t *Trace) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = append(t.part, p...)
	for {
		line, rest, found := bytes.Cut(t.part, []byte("\n"))
		if !found {
			return len(p), nil
		}
		t.line(string(line))
		t.part = append(t.part[:0], rest...)
	}
}

// line reads one of
//
//	SCHED 2003ms: gomaxprocs=2 …                     (a new list begins)
//	  P0: status=1 …, M3: p=0 …
//	  G18: status=4(IO wait) m=nil lockedm=nil       (6 is dead)
//	gc 3 @0.1s 0%: … ms cpu, 4->5->1 MB, 4 MB goal … (before, after, live)
func (t *Trace) line(line string) {
	trimmed := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(trimmed, "SCHED "):
		if t.counting > 0 {
			t.goroutines, t.counting = t.counting, 0 // of the list that has ended
		}
	case strings.HasPrefix(trimmed, "G") && strings.Contains(trimmed, ": status="):
		if !strings.Contains(trimmed, "status=6(") {
			t.counting++
		}
	case strings.HasPrefix(trimmed, "P") && strings.Contains(trimmed, ": status="),
		strings.HasPrefix(trimmed, "M") && strings.Contains(trimmed, ": p="):
	case strings.HasPrefix(trimmed, "gc ") && strings.Contains(trimmed, " MB goal"):
		t.collection(trimmed)
	default:
		_, _ = t.rest.Write([]byte(line + "\n")) // never fails
	}
}

func (t *Trace) collection(line string) {
	for word := range strings.FieldsSeq(line) {
		parts := strings.Split(word, "->")
		if len(parts) != 3 {
			continue
		}
		if live, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			t.heap = live << 20
		}
	}
}

// Holding is what the traced process holds. Goroutines are up to four seconds old;
// the heap is as of the last collection, which an idle process makes every two
// minutes.
func (t *Trace) Holding(p *Process) (h Holding, err error) {
	if h.Descriptors, err = p.Descriptors(); err != nil {
		return h, err
	}
	if h.Resident, err = p.Resident(); err != nil {
		return h, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h.Goroutines, h.Heap = t.goroutines, t.heap
	return h, nil
}

// Output is what the process has printed besides the trace.
func (t *Trace) Output() string { return t.rest.String() }
