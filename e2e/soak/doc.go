// Package soak puts a server and its agents under hours of mixed load and holds them
// to row 27 of docs/promises.md: every visitor gets what was promised, and memory,
// goroutines and descriptors stay level. docs/soak.md tells how to run and read it.
package soak
