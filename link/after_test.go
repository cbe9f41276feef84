package link_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

type plain struct{ done chan struct{} }

func (p plain) Done() <-chan struct{} { return p.done }

type own struct{ context.Context }

func (o own) AfterDone(f func()) (stop func() bool) { return context.AfterFunc(o.Context, f) }

// What is asked for happens once, or was taken back and never does, whether or not
// the watched thing can do it itself. One that can costs no goroutine.
func TestAfterDone(t *testing.T) {
	type watched = interface{ Done() <-chan struct{} }
	for name, start := range map[string]func() (watched, func(), int){
		"channel": func() (watched, func(), int) {
			done := make(chan struct{})
			return plain{done}, func() { close(done) }, 1
		},
		"own": func() (watched, func(), int) {
			ctx, end := context.WithCancel(context.Background())
			return own{ctx}, end, 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, end, cost := start()
				before := testkit.InBubble()
				ran, never := 0, 0
				stop := link.AfterDone(w, func() { ran++ })
				stopNever := link.AfterDone(w, func() { never++ })
				synctest.Wait()
				if n := testkit.InBubble() - before; n != 2*cost {
					t.Errorf("two requests cost %d goroutines", n)
				}
				if !stopNever() || stopNever() {
					t.Error("a request is taken back once")
				}
				end()
				synctest.Wait()
				if stop() || ran != 1 || never != 0 {
					t.Errorf("ran %d times, the one that was taken back %d times", ran, never)
				}
				link.AfterDone(w, func() { ran++ })
				synctest.Wait()
				if ran != 2 {
					t.Error("nothing ran after the end")
				}
			})
		})
	}
}
