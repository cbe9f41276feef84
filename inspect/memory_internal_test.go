package inspect

import "testing"

func TestShortHasMarks(t *testing.T) {
	was := false
	for i, step := range []struct {
		percent int64
		want    bool
	}{{10, false}, {74, false}, {75, true}, {66, true}, {64, false}, {74, false}, {120, true}, {3, false}} {
		if was = nextShort(was, step.percent<<20, 100<<20); was != step.want {
			t.Fatalf("step %d, %d %%: %t", i, step.percent, was)
		}
	}
}
