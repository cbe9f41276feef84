package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// inMemory tells which of the texts are anywhere in the memory that a process can write:
// its heap, its stacks, its buffers.
func inMemory(t *testing.T, pid int, texts ...string) map[string]int {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	found, searched := make(map[string]int), int64(0)
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		searched += search(io.NewSectionReader(memory, from, to-from), found, texts)
	}
	if searched < 1<<20 {
		t.Fatalf("of process %d only %d bytes could be searched", pid, searched)
	}
	return found
}

// search counts the texts, also where they lie across the edge of two pieces. A page that
// cannot be read ends the region: nothing is there.
func search(region io.Reader, found map[string]int, texts []string) (searched int64) {
	const piece, overlap = 1 << 20, 256
	buffer := make([]byte, overlap+piece)
	kept := 0
	for {
		n, err := io.ReadFull(region, buffer[kept:])
		have := buffer[:kept+n]
		for _, text := range texts {
			found[text] += bytes.Count(have, []byte(text))
		}
		searched += int64(n)
		if err != nil {
			return searched
		}
		kept = copy(buffer, have[len(have)-overlap:])
	}
}
