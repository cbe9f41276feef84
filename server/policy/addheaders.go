package policy

import (
	"strings"

	"github.com/postern-dev/postern/server/policy/expression"
)

// mostHeaders is how many headers one action may name.
const mostHeaders = 10

// addHeaders adds lines to a head; those that are there stay. The Host is replaced, for
// there is one.
func addHeaders() kind {
	return kind{
		name: "add-headers", phases: in(inRequest, inResponse),
		build: func(c *config) action {
			c.require("headers")
			a := &addedHeaders{headers: c.named("headers", mostHeaders)}
			for _, h := range a.headers {
				c.checkHeader("headers", h.at, h.name)
			}
			return a
		},
	}
}

type addedHeaders struct{ headers []namedTemplate }

func (a *addedHeaders) run(e *Evaluation) (Verdict, error) {
	var added map[string]any
	if e.program.asksResults {
		added = make(map[string]any, len(a.headers))
	}
	for _, h := range a.headers {
		value, err := e.fill(h.template)
		if err != nil {
			return Verdict{}, err
		}
		if added != nil {
			added[strings.ToLower(h.name)] = value
		}
		if e.at == expression.Request && strings.EqualFold(h.name, "host") {
			e.request.SetHost(value)
			e.url = nil
			continue
		}
		e.head().Add(h.name, value)
	}
	if added != nil {
		e.result("add_headers", map[string]any{"headers_added": added})
	}
	return Verdict{}, nil
}

// removeHeaders removes all lines of some names.
func removeHeaders() kind {
	return kind{
		name: "remove-headers", phases: in(inRequest, inResponse),
		build: func(c *config) action {
			c.require("headers")
			a := &removedHeaders{c.texts("headers", mostHeaders)}
			for i, name := range a.names {
				c.checkHeader("headers", c.node.get("headers").items[i], name)
			}
			return a
		},
	}
}

type removedHeaders struct{ names []string }

func (a *removedHeaders) run(e *Evaluation) (Verdict, error) {
	head := e.head()
	removed := []any{}
	for _, name := range a.names {
		if e.program.asksResults && len(head.Values(name)) > 0 {
			removed = append(removed, strings.ToLower(name))
		}
		head.Remove(name)
		if e.at == expression.Request {
			e.removeAliases(name)
		}
	}
	if e.program.asksResults {
		e.result("remove_headers", map[string]any{"headers_removed": removed})
	}
	return Verdict{}, nil
}
