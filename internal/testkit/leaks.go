package testkit

import (
	"testing"

	"go.uber.org/goleak"
)

// Leaks runs a package's tests and fails when a goroutine outlives them. Call it
// from TestMain of every package that starts goroutines; it does not return.
func Leaks(m *testing.M) { goleak.VerifyTestMain(m) }
