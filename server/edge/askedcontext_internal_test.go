package edge

import (
	"context"
	"errors"
	"testing"
)

// headWithContext counts how often its context is made.
type headWithContext struct {
	requestHead
	ctx  context.Context
	made int
}

func (h *headWithContext) context() context.Context { h.made++; return h.ctx }

// The context of rules is made once, for whoever asks first, and nobody gets that of
// another exchange.
func TestContextsAreMadeOnDemand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	head := &headWithContext{ctx: ctx}
	a := &askedContext{x: &Exchange{head: head}}
	if head.made != 0 {
		t.Error("it was made before anybody asked")
	}
	derived, stop := context.WithCancel(a)
	defer stop()
	if a.Err() != nil || head.made != 1 {
		t.Errorf("%v, made %d times", a.Err(), head.made)
	}
	cancel()
	<-derived.Done()
	if a.end(); !errors.Is(a.Err(), context.Canceled) || head.made != 1 {
		t.Errorf("%v, made %d times", a.Err(), head.made)
	}
	late := &askedContext{x: &Exchange{head: head}}
	if late.end(); !errors.Is(late.Err(), context.Canceled) || head.made != 1 {
		t.Errorf("after the end: %v, made %d times", late.Err(), head.made)
	}
	<-late.Done()
}
