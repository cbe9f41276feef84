package body

import (
	"errors"
	"io"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body/eventstream"
	"github.com/postern-dev/postern/server/policy/body/pattern"
)

// ReplaceField makes a replacement in a field of an event, where it has one.
func ReplaceField(e *eventstream.Event, field string, r Replacement) error {
	value, ok := e.Field(field)
	if !ok {
		return nil
	}
	changed, err := io.ReadAll(pattern.NewReader(strings.NewReader(value), r.From, r.To))
	if err == nil {
		err = e.Set(field, string(changed))
	}
	return unchangeable(err)
}

// Events has change look at every event of a body, and edits the message's header
// accordingly; see Replace and eventstream.NewReader.
func Events(h Header, body io.Reader, budget *Budget, change func(*eventstream.Event) error) (Changed, error) {
	c, err := decoded(h, body, budget)
	if err != nil {
		return Changed{}, err
	}
	c.reader = eventstream.NewReader(c.reader, change)
	Transformed(h)
	return Changed{c, -1}, nil
}

// unchangeable gives mistakes of a policy their code.
func unchangeable(err error) error {
	for _, mistake := range []error{pattern.ErrWork, pattern.ErrInserted, eventstream.ErrLong, eventstream.ErrBreaks} {
		if errors.Is(err, mistake) {
			return postern.Errorf(postern.CodeBodyUnchangeable, "%s", mistake)
		}
	}
	return err
}
