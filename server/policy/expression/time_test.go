package expression_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/server/policy/expression"
)

// lasting is an Object whose fields take their time.
type lasting time.Duration

func (l lasting) Field(string) any {
	time.Sleep(time.Duration(l))
	return "x"
}

// All expressions about one message have a time together, in which waiting for others does
// not count. Those that take next to nothing are worked out whatever was before.
func TestExpressionsHaveATimeTogether(t *testing.T) {
	compiled := func(text string) *expression.Expression {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			t.Fatal(problem)
		}
		return x
	}
	heavy, looped := compiled(`endpoint.id.matches('^x')`), compiled(`[1].all(i, endpoint.id != '')`)
	light, waiting := compiled(`endpoint.id == 'x'`), compiled(`secrets.get('a', 'b').matches('^x')`)
	synctest.Test(t, func(t *testing.T) {
		s := &expression.Scope{
			Endpoint: lasting(300 * time.Millisecond),
			Secret: func(context.Context, string, string) (string, error) {
				time.Sleep(time.Hour)
				return "x", nil
			},
		}
		passes := func(what string, x *expression.Expression) {
			t.Helper()
			if held, err := x.True(s); !held || err != nil {
				t.Errorf("%s: %t, %v", what, held, err)
			}
		}
		fails := func(what string, err error) {
			t.Helper()
			var failure *expression.Failure
			if !errors.As(err, &failure) || failure.Reason != expression.Exceeded {
				t.Errorf("%s: %v", what, err)
			}
		}
		passes("what waits", waiting)
		passes("the first", heavy)
		passes("the second", looped)
		for what, x := range map[string]*expression.Expression{"a third": heavy, "a loop": looped} {
			_, err := x.True(s)
			fails(what, err)
		}
		passes("what is light", light)
		fails("other work", s.Work(func() { t.Error("it was done") }))
		s.Anew()
		passes("for another message", heavy)
		if err := s.Work(func() { time.Sleep(time.Second) }); err != nil {
			t.Error(err)
		}
		_, err := heavy.True(s)
		fails("behind other work", err)
	})
}
