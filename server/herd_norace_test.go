//go:build unix && !race

package server_test

// herdSize is how many agents come back at once (B5-32).
const herdSize = 2000
