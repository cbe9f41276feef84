package testkit

import (
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// Leaks runs a package's tests and fails when a goroutine outlives them. Call it
// from TestMain of every package that starts goroutines; it does not return. What the
// tests share is closed before goroutines are counted.
func Leaks(m goleak.TestingM, shared ...func() error) { goleak.VerifyTestMain(Closing(m, shared...)) }

// Closing makes a run of tests that closes what they have shared once they are over.
func Closing(m goleak.TestingM, shared ...func() error) goleak.TestingM { return closing{m, shared} }

type closing struct {
	goleak.TestingM
	shared []func() error
}

// Run implements goleak.TestingM.
func (c closing) Run() int {
	code := c.TestingM.Run()
	for _, closer := range c.shared {
		if err := closer(); err != nil {
			fmt.Fprintln(os.Stderr, "after the tests:", err)
			code = max(code, 1)
		}
	}
	return code
}
