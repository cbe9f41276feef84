package server

import (
	"testing"

	"github.com/postern-dev/postern/server/edge"
)

// B5-28: pressure rises at the marks and falls below lower ones.
func TestPressureHasMarks(t *testing.T) {
	was := edge.PressureNone
	for i, step := range []struct {
		percent int
		want    edge.Pressure
	}{
		{10, edge.PressureNone}, {74, edge.PressureNone}, {75, edge.PressureHigh}, {66, edge.PressureHigh},
		{87, edge.PressureHigh}, {88, edge.PressureCritical}, {81, edge.PressureCritical}, {79, edge.PressureHigh},
		{64, edge.PressureNone}, {74, edge.PressureNone}, {120, edge.PressureCritical}, {5, edge.PressureNone},
	} {
		if was = nextPressure(was, step.percent); was != step.want {
			t.Fatalf("step %d, %d %%: level %d, want %d", i, step.percent, was, step.want)
		}
	}
}
