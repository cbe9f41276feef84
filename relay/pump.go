package relay

import (
	"fmt"
	"runtime/debug"
)

// pump is a connection that hands on and fetches by itself, as link.Pump.
type pump interface {
	Pour(take func(b []byte) bool) error
	Draw(fill func(b []byte) int) error
}

// pour has src hand on what comes, until a pause.
func (d *direction) pour(src pump) step {
	var failed any
	take := func(b []byte) (more bool) {
		defer caught(&failed)
		return d.deliver(b)
	}
	before := d.armPause()
	for {
		err := src.Pour(take)
		switch {
		case failed != nil:
			panic(failed)
		case err == nil:
			return over
		case !timedOut(err):
			return d.readEnded(err)
		case d.moved == before:
			return goQuiet
		}
		before = d.armPause()
	}
}

// draw has dst fetch what is to be sent, until a pause.
func (d *direction) draw(dst pump) step {
	var failed any
	var ended error // of a read
	sending := 0
	before := d.armPause()
	sent := func() {
		d.count(int64(sending))
		d.writing.Store(false)
		sending = 0
	}
	fill := func(b []byte) int {
		defer caught(&failed)
		sent()
		if ended != nil {
			return 0
		}
		sending, ended = d.src.Read(b)
		if sending > 0 {
			d.armWrite(sending)
			d.writing.Store(true)
		}
		return sending
	}
	for {
		err := dst.Draw(fill)
		switch {
		case failed != nil:
			panic(failed)
		case err != nil:
			d.writing.Store(false)
			d.writeFailed(err)
			return over
		case ended == nil: // a read of nothing
		case !timedOut(ended):
			return d.readEnded(ended)
		case d.moved == before:
			return goQuiet
		default:
			before = d.armPause()
		}
		ended = nil
	}
}

// caught keeps a panic on another goroutine for who waits for that one.
func caught(failed *any) {
	if reason := recover(); reason != nil {
		*failed = fmt.Errorf("%v\n%s", reason, debug.Stack())
	}
}
