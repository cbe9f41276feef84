package memory

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// cgroupShare is which part of a control group's memory the Go runtime may have, in
// percent: the kernel counts socket buffers and page cache in the rest.
const cgroupShare = 85

// cgroupLimit is the least memory limit of the control groups that the process is in,
// version 2 or 1, in bytes; ok is false where there is none. root is the file system.
func cgroupLimit(root fs.FS) (limit int64, ok bool) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	limit = math.MaxInt64
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch {
		case fields[0] == "0" && fields[1] == "":
			limit = min(limit, leastLimit(root, "sys/fs/cgroup", fields[2], "memory.max"))
		case fields[1] == "memory":
			limit = min(limit, leastLimit(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	// Version 1 says "no limit" with a number that no machine reaches.
	return limit, limit < 1<<60
}

// leastLimit looks at a group and those that it is in. In a container the mounted tree
// may begin at the group itself, so a directory that does not exist is no news.
func leastLimit(root fs.FS, mount, group, name string) int64 {
	least := int64(math.MaxInt64)
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		if text, err := fs.ReadFile(root, path.Join(mount, at, name)); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
		if at == "/" {
			return least
		}
	}
}
