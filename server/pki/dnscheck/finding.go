package dnscheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
)

// Status says how much a Finding matters.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, or may work, and is not as it should be
	Problem Status = "problem"
)

// Finding is what is to be said of one record.
type Finding struct {
	Status Status
	Type   string       // NS, CNAME, A, CAA
	Name   string       // whose record, without the dot at the end
	Code   postern.Code // "" where all is well
	Text   string       // for people: what is so, and what to do
	Want   []string     // what the record is to have; none: nothing in particular
	Have   []string     // what it has
}

// Report is all that was found.
type Report []Finding

// Status is the worst of all.
func (r Report) Status() Status {
	worst := OK
	for _, finding := range r {
		if finding.Status == Problem || worst == OK {
			worst = finding.Status
		}
	}
	return worst
}

// Err is the first problem, as an error with its code; nil without one.
func (r Report) Err() error {
	for _, finding := range r {
		if finding.Status == Problem {
			return postern.Errorf(finding.Code, "%s", finding.Text)
		}
	}
	return nil
}

// found makes a Finding that is well.
func found(kind, name, format string, args ...any) Finding {
	return Finding{Status: OK, Type: kind, Name: bare(name), Text: fmt.Sprintf(format, args...)}
}

// wrong makes a problem.
func wrong(code postern.Code, kind, name, format string, args ...any) Finding {
	return Finding{Status: Problem, Code: code, Type: kind, Name: bare(name), Text: fmt.Sprintf(format, args...)}
}

// failed makes a problem of a look-up that came to nothing.
func failed(code postern.Code, kind, name string, err error) Finding {
	text := err.Error()
	if failure, is := errors.AsType[*Failure](err); is {
		text = failure.Reason
		if !strings.EqualFold(failure.Name, name) {
			text = bare(failure.Name) + ": " + text
		}
	}
	return wrong(code, kind, name, "%s could not be looked up: %s", bare(name), text)
}

func (f Finding) wants(want ...string) Finding { f.Want = want; return f }

func (f Finding) has(have ...string) Finding { f.Have = have; return f }

func (f Finding) warning() Finding { f.Status = Warning; return f }

// bare is a name without the dot at its end.
func bare(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

func fqdn[S ~string](name S) string { return strings.TrimSuffix(string(name), ".") + "." }

// names makes a list that can be compared: bare, sorted, each once.
func names[S ~string](all []S) []string {
	list := make([]string, 0, len(all))
	for _, name := range all {
		list = append(list, bare(string(name)))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
