package setup

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// holder names the program that has a port, as far as this user may see it.
func holder(network string, port uint16) string {
	sockets := make(map[string]bool)
	for _, table := range []string{network, network + "6"} {
		inodes(filepath.Join("/proc/net", table), network, port, sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(descriptor); err != nil || !sockets[target] {
			continue
		}
		process := filepath.Dir(filepath.Dir(descriptor))
		if name, err := os.ReadFile(filepath.Join(process, "comm")); err == nil {
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
		}
	}
	return ""
}

// inodes collects the sockets of a table of the kernel's that listen on a port
// (proc_net_tcp: local address and port in hexadecimal, state 0A listens, 07 is UDP's).
func inodes(path, network string, port uint16, found map[string]bool) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	state := "0A"
	if network == "udp" {
		state = "07"
	}
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == state {
			found["socket:["+fields[9]+"]"] = true
		}
	}
}
