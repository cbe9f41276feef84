package memory

import (
	"testing"
	"testing/fstest"
)

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
	var need Need
	if used := need.Measure(); used < 1<<20 || used > 4<<30 {
		t.Errorf("%d bytes are used", used)
	}
	if need.Collected.IsZero() {
		t.Error("nothing is known of collections")
	}
}
