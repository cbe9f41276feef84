package testkit_test

import (
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/testkit"
)

// Goroutines outside of the bubble do not count, whatever they begin meanwhile.
func TestInBubble(t *testing.T) {
	more, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	go func() {
		<-more
		go func() {
			<-end
			ended <- struct{}{}
		}()
		<-end
		ended <- struct{}{}
	}()
	synctest.Test(t, func(t *testing.T) {
		before, done := testkit.InBubble(), make(chan struct{})
		close(more)
		go func() { <-done }()
		synctest.Wait()
		if n := testkit.InBubble() - before; n != 1 {
			t.Errorf("%d goroutines more", n)
		}
		close(done)
		synctest.Wait()
		if n := testkit.InBubble() - before; n != 0 {
			t.Errorf("%d goroutines more after the end", n)
		}
	})
	close(end)
	<-ended
	<-ended
}
