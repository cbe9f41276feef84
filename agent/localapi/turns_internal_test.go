package localapi

import (
	"testing"
	"testing/synctest"
)

// A start that waits for the server holds up its own name and no other.
func TestTurnsAreByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts turns
		first := starts.take("a")
		starts.take("b")()
		second := make(chan struct{})
		go func() {
			defer close(second)
			starts.take("a")()
		}()
		synctest.Wait()
		select {
		case <-second:
			t.Fatal("two had the turn of a name")
		default:
		}
		first()
		<-second
		if n := starts.names.Len(); n != 0 {
			t.Errorf("%d names are remembered", n)
		}
	})
}
