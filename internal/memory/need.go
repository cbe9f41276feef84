package memory

import (
	"runtime/metrics"
	"time"
)

// Need measures what the process needs. The zero value works, for one goroutine.
type Need struct {
	Collected time.Time // when the last collection was noticed; what is needed is only known after one

	samples []metrics.Sample
	count   uint64
}

// Measure is, in bytes, what the process needs: the heap that lives, as the last collection found
// it, and what the runtime needs besides. Garbage is not counted: however much there
// is, the collector keeps it below the limit by itself.
func (n *Need) Measure() int64 {
	if n.samples == nil {
		for _, name := range []string{"/gc/heap/live:bytes", "/gc/cycles/total:gc-cycles", "/memory/classes/total:bytes",
			"/memory/classes/heap/released:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
			"/memory/classes/heap/free:bytes"} {
			n.samples = append(n.samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(n.samples)
	value := func(i int) int64 { return int64(n.samples[i].Value.Uint64()) }
	if count := n.samples[1].Value.Uint64(); count != n.count || n.Collected.IsZero() {
		n.count, n.Collected = count, time.Now()
	}
	besides := value(2) - value(3) - value(4) - value(5) - value(6)
	return value(0) + max(0, besides)
}
