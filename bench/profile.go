package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile has perf sample server and agent, kernel included, until end is called.
// It writes DIR/SUT-ROW-PARTY.data, to be read with "perf report -i". perf is not
// among the parties whose CPU seconds are counted.
func (r *Running) profile(row string) (end func()) {
	if *profileDir == "" {
		return func() {}
	}
	if err := os.MkdirAll(*profileDir, 0o755); err != nil {
		fatal("-profile: %v", err)
	}
	var running []*exec.Cmd
	for party, p := range map[string]*Proc{"server": r.server, "agent": r.agent} {
		if p == nil {
			continue
		}
		var pids []string
		for _, pid := range groupPIDs(p.pgid) {
			pids = append(pids, strconv.Itoa(pid))
		}
		out := filepath.Join(*profileDir, fmt.Sprintf("%s-%s-%s.data", r.s.Name, row, party))
		perf := exec.Command("perf", "record", "-q", "-F", "1999", "-g", "-e", "cpu-clock", "-o", out, "-p", strings.Join(pids, ","))
		perf.Stderr = os.Stderr
		if err := perf.Start(); err != nil {
			fatal("-profile: %v", err)
		}
		running = append(running, perf)
	}
	return func() {
		for _, perf := range running {
			_ = perf.Process.Signal(syscall.SIGINT)
			_ = perf.Wait() // perf ends with the signal's status
		}
	}
}
