package expression

import (
	"errors"
	"fmt"
)

// Reason says what kind of thing an evaluation failed of.
type Reason uint8

// The reasons.
const (
	Absent    Reason = iota + 1 // a name, a key or an element is not there
	Unfit                       // a value is not what an operator or a function takes
	Exceeded                    // it took more than an expression may
	Withheld                    // a secret could not be read
	Cancelled                   // the Scope's Context ended
)

// Failure is the error of every evaluation. It has no values in it, as values may be
// secrets: it says where in the expression it failed, and of what.
type Failure struct {
	Reason       Reason
	Line, Column int // within the expression or template, from 1; 0 where it is not known
	Message      string
	cause        error
}

func (f *Failure) Error() string {
	if f.Line == 0 {
		return f.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Message)
}

// Unwrap is what Scope.Secret gave, or the cause of the Context; otherwise nil.
func (f *Failure) Unwrap() error { return f.cause }

// IsAbsent tells whether an evaluation failed only because something that it names is
// not there: a header that was not sent, a variable that no action has set.
func IsAbsent(err error) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Reason == Absent
}

func absent(format string, args ...any) *Failure {
	return &Failure{Reason: Absent, Message: fmt.Sprintf(format, args...)}
}

func unfit(format string, args ...any) *Failure {
	return &Failure{Reason: Unfit, Message: fmt.Sprintf(format, args...)}
}

func exceeded(format string, args ...any) *Failure {
	return &Failure{Reason: Exceeded, Message: fmt.Sprintf(format, args...)}
}
