package setup

import (
	"fmt"
	"io"
	"strings"
)

// Status is how a check ended.
type Status string

// The statuses. Unseen is for what this machine has no way to know.
const (
	OK      Status = "ok"
	Warning Status = "warn"
	Failed  Status = "fail"
	Unseen  Status = "unseen"
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"` // its subject: "dns connect.example.com", "port 443"
	Status Status `json:"status"`
	Text   string `json:"text"`          // what there is
	Fix    string `json:"fix,omitempty"` // what to change, unless all is well
}

// Findings are those of all checks, in the order in which they were made.
type Findings []Finding

// Failed counts those without which the server cannot do what it is for.
func (f Findings) Failed() (n int) {
	for _, one := range f {
		if one.Status == Failed {
			n++
		}
	}
	return n
}

// Write shows them to people.
func (f Findings) Write(w io.Writer) error {
	var text strings.Builder
	widest := 0
	for _, one := range f {
		widest = max(widest, len(one.Check))
	}
	for _, one := range f {
		fmt.Fprintf(&text, "%-6s  %-*s  %s\n", one.Status, widest, one.Check, one.Text)
		if one.Fix == "" {
			continue
		}
		for line := range strings.SplitSeq(one.Fix, "\n") {
			fmt.Fprintf(&text, "%-6s  %-*s  → %s\n", "", widest, "", line)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
