package server

import (
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

// Problems are the faults of a configuration, in the order in which they were
// found. Each has CodeConfigInvalid and says where it is: "postern.yml:12:3: …", "--listen-https: …", "POSTERN_LISTEN_HTTPS: …".
type Problems []*postern.Error

// Error gives one problem per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Text()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As see each problem.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}

// As gives all problems as one coded error, which is what a command prints.
func (p Problems) As(target any) bool {
	coded, ok := target.(**postern.Error)
	if ok && len(p) > 0 {
		*coded = postern.Errorf(p[0].Code, "%s", p.Error())
	}
	return ok && len(p) > 0
}

func (p *Problems) add(where, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if where != "" {
		message = where + ": " + message
	}
	*p = append(*p, &postern.Error{Code: postern.CodeConfigInvalid, Message: message})
}

// err gives nil for no problems, so that an empty list is not a non-nil error.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// clip shortens text from outside for a message.
func clip(text string) string { return postern.Clip(text, 80) }
