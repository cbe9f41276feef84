package background

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// newProgram is a program as Run makes it under Windows' service manager.
func newProgram(serve func(context.Context) error, exited *[]int) *program {
	p := &program{serve: serve, done: make(chan struct{}), exit: func(status int) { *exited = append(*exited, status) }}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// The service manager hears of a stop when connections have finished, not before.
func TestStopWaitsForTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exited []int
		p := newProgram(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return nil
		}, &exited)
		began := time.Now()
		if err := errors.Join(p.Start(nil), p.Stop(nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if took := time.Since(began); took != 5*time.Second || len(exited) > 0 {
			t.Errorf("stopped after %v, exited with %v", took, exited)
		}
	})
}

// An agent that ends by itself, with a token that is refused say, is started again.
func TestAnAgentThatEndsEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exited []int
		p := newProgram(func(context.Context) error { return errors.New("refused") }, &exited)
		defer p.stop()
		if err := p.Start(nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(exited) != 1 || exited[0] != 1 || p.err == nil {
			t.Errorf("exited with %v, %v", exited, p.err)
		}
	})
}
