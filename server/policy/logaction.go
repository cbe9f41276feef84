package policy

import (
	"encoding/json"

	"github.com/postern-dev/postern"
)

const (
	mostLogFields = 50
	mostLogName   = 100     // bytes
	mostLogValue  = 1 << 10 // bytes; of what is longer the beginning is kept
)

// logAction writes a record with what the policy's author wants to know.
func logAction() kind {
	return kind{
		name: "log", phases: in(inTCP, inRequest, inResponse),
		build: func(c *config) action {
			c.require("metadata")
			a := &logging{}
			n := c.field("metadata", isObject)
			if n == nil {
				return a
			}
			if len(n.fields) > mostLogFields {
				c.fault("metadata", "it has %d entries, at most %d are allowed", len(n.fields), mostLogFields)
			}
			for _, f := range n.fields {
				if len(f.name) > mostLogName {
					c.fault("metadata", "a name has %d bytes, at most %d are allowed", len(f.name), mostLogName)
				}
				if value := c.value(f.value, c.filled("metadata")); value != nil {
					a.metadata = append(a.metadata, variable{f.name, value})
				}
			}
			return a
		},
	}
}

// filled reads texts of the field that stay texts, whatever stands in their ${…}.
func (c *config) filled(name string) func(n *node) value {
	return func(n *node) value {
		made := c.templateOf(name, n)
		if made == nil {
			return nil
		}
		return func(e *Evaluation) (any, error) { return e.fill(made) }
	}
}

// loggedText is what a log has of a value: lists and objects are JSON.
func loggedText(made any) string {
	switch v := made.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(made)
	if err != nil {
		return "" // which nothing that a policy can write comes to
	}
	return string(text)
}

type logging struct{ metadata []variable }

func (a *logging) run(e *Evaluation) (Verdict, error) {
	l := Logged{
		Endpoint: e.subject.Endpoint, At: e.now(), Phase: e.at.String(), Rule: e.rule.where, RuleName: e.rule.name,
		Connection: e.subject.Number, Client: e.subject.Connection.Client(), Metadata: make(map[string]string, len(a.metadata)),
	}
	if e.subject.RequestID != nil {
		l.RequestID = e.subject.RequestID()
	}
	left, shown := MostLogged, make(map[string]any, len(a.metadata))
	for _, m := range a.metadata {
		left -= len(m.name)
	}
	for _, m := range a.metadata {
		made, err := m.value(e)
		if err != nil {
			made = "" // a log that lacks something is worth more than a visitor's failure
		}
		text := loggedText(made)
		if most := min(mostLogValue, left-len("…")); len(text) > most {
			text = postern.Clip(text, max(0, most))
		}
		l.Metadata[m.name], shown[m.name] = text, text
		left -= len(text)
	}
	e.result("log", map[string]any{"metadata": shown})
	if e.world.Log != nil {
		e.world.Log(e.subject.Context, l)
	}
	return Verdict{}, nil
}
