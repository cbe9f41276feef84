//go:build !race

package flow_test

// mostOfIdle is what an idle flow may cost beside its stream.
const mostOfIdle = 4 << 10
