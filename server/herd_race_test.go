//go:build unix && race

package server_test

// herdSize is small under the race detector, which makes everything about ten times
// slower: it looks for races here, not for time.
const herdSize = 200
