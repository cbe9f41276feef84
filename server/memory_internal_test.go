package server

import (
	"testing"
	"testing/fstest"

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

func TestControlGroupLimits(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  int64 // 0 is none
	}{
		"nothing":   {nil, 0},
		"no limit":  {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 2": {map[string]string{"proc/self/cgroup": "0::/system.slice/postern.service\n", "sys/fs/cgroup/system.slice/postern.service/memory.max": "1073741824\n"}, 1 << 30},
		"above": {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n",
			"sys/fs/cgroup/a/memory.max": "536870912\n"}, 512 << 20},
		"container": {map[string]string{"proc/self/cgroup": "0::/../../outside\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		"version 1": {map[string]string{"proc/self/cgroup": "9:name=systemd:/\n4:memory:/docker/x\n0::/\n",
			"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "134217728\n"}, 128 << 20},
		"version 1 without": {map[string]string{"proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nonsense": {map[string]string{"proc/self/cgroup": "0\n::\n0::/\n", "sys/fs/cgroup/memory.max": "much\n"}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range test.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		limit, ok := cgroupLimit(root)
		if ok != (test.want > 0) || ok && limit != test.want {
			t.Errorf("%s: %d %v, want %d", name, limit, ok, test.want)
		}
	}
}

// What is measured follows what lives.
func TestMemoryIsMeasured(t *testing.T) {
	var look collections
	if used := look.measure(); used < 1<<20 || used > 4<<30 {
		t.Errorf("%d bytes are used", used)
	}
	if look.last.IsZero() {
		t.Error("nothing is known of collections")
	}
}
