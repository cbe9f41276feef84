package policy

import (
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

// mostProblems bounds how many are told of at once.
const mostProblems = 20

// Problem is something in a policy's text that cannot be used.
type Problem struct {
	Line, Column int    // from 1; 0 where the whole text is meant
	Where        string // such as "on_http_request[0].actions[1].config.status_code"
	Code         postern.Code
	Message      string // a sentence, with the value and what to write instead
}

// String is "line 3, column 5: on_http_request[0].actions[0].type: …".
func (p Problem) String() string {
	var text strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&text, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Where != "" {
		text.WriteString(p.Where + ": ")
	}
	text.WriteString(p.Message)
	return text.String()
}

// Problems are all that is wrong with a text, in its order. It is an error.
type Problems []Problem

// Error implements error: the first problem, and how many more there are.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", p[0], len(p)-1)
}

// Coded is the problems as one error of the catalogue: the first one's.
func (p Problems) Coded() *postern.Error {
	return postern.Errorf(p[0].Code, "the traffic policy cannot be used: %s", p.Error())
}

// Coded is an error of Compile as one of the catalogue.
func Coded(err error) *postern.Error {
	if p, ok := err.(Problems); ok { //nolint:errorlint // Compile wraps nothing
		return p.Coded()
	}
	return postern.AsError(err)
}

// anOption is where what we wrote ourselves comes from.
const anOption = "an option of the endpoint"

// report adds a problem with the text at n.
func (c *compiler) report(code postern.Code, n *node, where, format string, args ...any) {
	if len(c.problems) == mostProblems {
		return
	}
	p := Problem{Where: where, Code: code, Message: fmt.Sprintf(format, args...)}
	if c.fromOptions {
		p.Where, n = anOption, nil
	}
	if n != nil {
		p.Line, p.Column = n.line, n.column
	}
	c.problems = append(c.problems, p)
}

// warn adds a warning about the text at n.
func (c *compiler) warn(n *node, where, format string, args ...any) {
	if len(c.program.warnings) == mostProblems {
		return
	}
	w := Problem{Message: fmt.Sprintf(format, args...)}
	if !c.fromOptions { // that text nobody has seen
		w.Line, w.Column, w.Where = n.line, n.column, where
	}
	c.program.warnings = append(c.program.warnings, w)
}

// clip shortens a stranger's text for a message.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}
