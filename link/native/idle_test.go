package native_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/link/native"
)

// B5-8: a stream that was bulk once and then is quiet, but stays open, holds no
// carrier: what a burst took is back within a minute.
func TestQuietStreamsComeHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		server, agent := f.pair(t)
		f.accept(t)
		pour(t, agent, server, 2<<20)
		pour(t, server, agent, 2<<20)
		synctest.Wait()
		if native.CarrierOf(agent) == 0 || native.CarrierOf(server) == 0 {
			t.Fatal("the bulk goes over carrier 0")
		}
		time.Sleep(native.IdleLimit)
		synctest.Wait()
		if n := native.Carriers(f.client) + native.Carriers(native.ServerOf(f.hub)); n != 0 {
			t.Errorf("%d further carriers long after the bulk", n)
		}
		if moves := native.Moves(agent) + native.Moves(server); moves != 4 {
			t.Errorf("%d moves", moves)
		}
		pour(t, agent, server, 1)
		pour(t, server, agent, 1)
		time.Sleep(native.IdleLimit)
		if moves := native.Moves(agent) + native.Moves(server); moves != 4 {
			t.Errorf("%d moves of a stream that is at home", moves)
		}
	})
}
