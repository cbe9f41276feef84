package program

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// Holding is what a process holds at one moment.
type Holding struct {
	Goroutines  int
	Descriptors int
	Heap        int64 // bytes of live objects, as of the last collection
	Resident    int64 // bytes of memory, as the kernel counts
}

// Holding collects the server's garbage, then reads what is left.
func (s *Server) Holding() (Holding, error) {
	// In this text the heap stands as it was right after the collection; what
	// /metrics says of it includes the making of that answer.
	profile, err := s.admin("/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return Holding{}, err
	}
	heap, err := Sample(profile, "# HeapAlloc =")
	if err != nil {
		return Holding{}, err
	}
	text, err := s.admin("/metrics")
	if err != nil {
		return Holding{}, err
	}
	h := Holding{Heap: int64(heap)}
	for name, into := range map[string]func(float64){
		"go_goroutines":                 func(v float64) { h.Goroutines = int(v) },
		"process_open_fds":              func(v float64) { h.Descriptors = int(v) },
		"process_resident_memory_bytes": func(v float64) { h.Resident = int64(v) },
	} {
		value, err := Sample(text, name)
		if err != nil {
			return Holding{}, err
		}
		into(value)
	}
	return h, nil
}

// admin asks the operator's listener over a connection of its own, so that the
// question leaves nothing behind.
func (s *Server) admin(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, s.AdminURL(path), nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// Metric reads one sample without labels from the server's /metrics.
func (s *Server) Metric(name string) (float64, error) {
	text, err := s.admin("/metrics")
	if err != nil {
		return 0, err
	}
	return Sample(text, name)
}

// Sample finds the value of a metric without labels in the text of /metrics.
func Sample(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(name+" ")); found {
			return strconv.ParseFloat(string(bytes.TrimSpace(rest)), 64)
		}
	}
	return 0, fmt.Errorf("no metric %q", name)
}

// Descriptors counts what the process has open.
func (p *Process) Descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(entries), err
}

// Resident is the memory of the process in bytes, as the kernel counts.
func (p *Process) Resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}
