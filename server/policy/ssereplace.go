package policy

import (
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/body/eventstream"
	"github.com/postern-dev/postern/server/policy/expression"
)

// sseFindReplace changes events of a stream, one by one.
func sseFindReplace() kind {
	return kind{
		name: "sse-find-replace", phases: []expression.Phase{expression.Message}, needs: NeedChange, leaves: askForWhole,
		build: func(c *config) action { return &eventSubstitutions{c.substitutions(true)} },
	}
}

// eventFields are those that may be changed; the first is the usual one.
func eventFields() []string { return []string{"data", "retry"} }

// fixedField checks a field's name that is always the same.
func (c *config) fixedField(name *expression.Template) {
	if name == nil {
		return
	}
	if text, constant := name.Constant(); constant && !slices.Contains(eventFields(), text) {
		c.fault("field", "it is %q; there are: %s", clip(text), strings.Join(eventFields(), ", "))
	}
}

type eventSubstitutions struct{ all []substitution }

func (a *eventSubstitutions) run(e *Evaluation) (Verdict, error) {
	for i := range a.all {
		s := &a.all[i]
		field := eventFields()[0]
		if s.field != nil {
			var err error
			if field, err = e.fill(s.field); err != nil {
				return Verdict{}, err
			}
		}
		if !slices.Contains(eventFields(), field) {
			return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "field has become none that events have: %s", strings.Join(eventFields(), ", "))
		}
		r, err := s.replacement(e)
		if err == nil {
			err = body.ReplaceField(e.event, field, r)
		}
		if err != nil {
			return Verdict{}, err
		}
	}
	return Verdict{}, nil
}

// follow has the rules for events asked about every event of an answer that is a stream of
// them.
func (e *Evaluation) follow() error {
	h := e.response
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if len(e.program.phases[expression.Message]) == 0 || kind != "text/event-stream" || h.Length() == 0 || !e.hasWholeBody() {
		return nil
	}
	changed, err := body.Events(h, h.Body(), e.world.bodies().Budget(), e.message)
	if err != nil {
		return e.blame(err)
	}
	e.setBody(h, changed)
	e.response = &keptResponse{keep(h), h.Status()} // events come when nobody may look at h any more
	return nil
}

// message asks about one event.
func (e *Evaluation) message(event *eventstream.Event) error {
	e.event = event
	e.scope.Message = eventFacts{event}
	_, err := e.run(expression.Message)
	return err
}

// eventFacts is message.
type eventFacts struct{ event *eventstream.Event }

// Field implements expression.Object.
func (f eventFacts) Field(name string) any {
	value, ok := f.event.Field(name)
	if !ok {
		return nil
	}
	if name == "retry" {
		milliseconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil
		}
		return milliseconds
	}
	return value
}
