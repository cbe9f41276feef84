//go:build race

package flow_test

// mostOfIdle is what an idle flow may cost; the race detector keeps more of goroutines.
const mostOfIdle = 8 << 10
