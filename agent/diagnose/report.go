package diagnose

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Status is how a check ended.
type Status string

// The statuses. Skipped is for what could not be tried.
const (
	OK      Status = "ok"
	Warning Status = "warn"
	Failed  Status = "fail"
	Skipped Status = "skip"
)

// Report is what was found. It marshals to JSON for programs; Write is for people. It
// holds no secret.
type Report struct {
	Version   string  `json:"version"` // of the program
	Server    string  `json:"server"`
	Proxy     string  `json:"proxy,omitempty"`
	Transport string  `json:"transport"` // that was asked for
	OK        bool    `json:"ok"`        // an agent would get through
	Takes     string  `json:"takes,omitempty"`
	Why       string  `json:"why"`
	Checks    []Check `json:"checks"`
}

// Check is one step.
type Check struct {
	Transport string        `json:"transport,omitempty"` // that the step belongs to; "" for all
	Name      string        `json:"name"`
	Status    Status        `json:"status"`
	Text      string        `json:"text"`
	Took      time.Duration `json:"took_ns"`
	Details   []string      `json:"details,omitempty"`
	Code      postern.Code  `json:"error_code,omitempty"`
	NextStep  string        `json:"next_step,omitempty"`
}

// add notes a check; an error makes it a failed one.
func (r *Report) add(c Check, err error) {
	if c.Status == "" {
		c.Status = OK
	}
	if err != nil {
		coded := postern.AsError(err)
		c.Status, c.Text, c.Code, c.NextStep = Failed, coded.Text(), coded.Code, coded.Code.Entry().Fix
		if coded.Cause != nil {
			c.Details = append(c.Details, "cause: "+printable(coded.Cause.Error()))
		}
	}
	r.Checks = append(r.Checks, c)
}

// width is the column of the results, wide enough for every name.
const width = 26

// Write prints the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Testing the way to %s…\n", r.Server)
	section := ""
	for _, c := range r.Checks {
		if c.Transport != section {
			section = c.Transport
			fmt.Fprintf(&b, "\n%s\n", heading(section))
		}
		fmt.Fprintf(&b, "  %-*s%s %s%s\n", width, c.Name, mark(c.Status), c.Text, took(c.Took))
		for _, detail := range c.Details {
			fmt.Fprintf(&b, "  %*s%s\n", width+9, "", detail)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.Why)
	r.writeFailures(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFailures lists what to do where an agent would not get through.
func (r *Report) writeFailures(b *strings.Builder) {
	if r.OK {
		return
	}
	b.WriteString("\nWhat failed:\n")
	for _, c := range r.Checks {
		if c.Status != Failed {
			continue
		}
		where := c.Name
		if c.Transport != "" {
			where = c.Transport + ", " + c.Name
		}
		fmt.Fprintf(b, "  - %s: %s (%s)\n      %s\n", where, c.Text, c.Code, c.NextStep)
	}
}

func heading(transport string) string {
	switch transport {
	case "":
		return "Then"
	case "tls":
		return "Directly, over TLS"
	case "websocket":
		return "In a WebSocket over HTTPS"
	}
	return transport
}

func mark(s Status) string {
	return fmt.Sprintf("[ %-4s ]", strings.ToUpper(string(s)))
}

// took is a time for people, in milliseconds.
func took(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.1f ms)", float64(d)/float64(time.Millisecond))
}
