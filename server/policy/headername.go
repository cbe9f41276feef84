package policy

import (
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// Editable tells why actions must not set or remove a header, "" where they may. It is the
// caller's of Compile, who sends the heads.
type Editable struct {
	Request, Response func(name string) (problem string)
}

// checkHeader reports a header that cannot be edited in the phase.
func (c *config) checkHeader(field string, at *node, name string) {
	problem := ""
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		problem = "it is not a header name"
	case c.phase == expression.Request && strings.EqualFold(name, "host"):
		return
	case c.phase == expression.Request && c.compiler.target.Editable.Request != nil:
		problem = c.compiler.target.Editable.Request(name)
	case c.phase != expression.Request && c.compiler.target.Editable.Response != nil:
		problem = c.compiler.target.Editable.Response(name)
	}
	if problem != "" {
		c.compiler.report(postern.CodePolicyValueInvalid, at, c.place(field), "the header %q cannot be edited: %s", clip(name), problem)
	}
}
