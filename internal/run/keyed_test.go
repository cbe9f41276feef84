package run_test

import (
	"sync"
	"testing"

	"github.com/postern-dev/postern/internal/run"
)

func TestKeyed(t *testing.T) {
	var k run.Keyed[string, int]
	made := 0
	first, leaveFirst := k.Use("a", func(v *int) { made++; *v = 7 })
	second, leaveSecond := k.Use("a", func(v *int) { made++ })
	if first != second || *first != 7 || made != 1 || k.Len() != 1 {
		t.Errorf("%d values were made, %d are used", made, k.Len())
	}
	leaveFirst()
	if again, leave := k.Use("a", nil); again != first {
		t.Error("a value in use was forgotten")
	} else {
		leave()
	}
	leaveSecond()
	if k.Len() != 0 {
		t.Errorf("%d keys are in use after the last has left", k.Len())
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, leave := k.Use("b", nil)
			leave()
		})
	}
	all.Wait()
	if k.Len() != 0 {
		t.Errorf("%d keys are left", k.Len())
	}
}
