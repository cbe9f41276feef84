package postern

import (
	"errors"
	"fmt"
)

// Code identifies a kind of failure, for ever: "ERR_NGROK_n" where the meaning is
// ngrok's, "ERR_POSTERN_n" where it is ours. The constants, texts and statuses
// are generated from errors.json, the one catalogue.
type Code string

// Entry is what the catalogue knows of a code.
type Entry struct {
	Code   Code
	Wire   Code   // the ERR_NGROK_n to show to ngrok's clients; equal to Code where that is one
	Status int    // HTTP status of a reply that carries the code
	Title  string // one line, for a person
	Fix    string // the next step for the reader
}

// Error is a failure with a code. Message says what happened here, naming the
// field, the value and what was expected; it may be shown to whoever caused the
// failure. Cause is for the log only and may name private addresses.
type Error struct {
	Code    Code
	Message string
	Cause   error
}

// Errorf makes an Error from a code and a message for the reader.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy of e with a cause, which logs show and readers do not.
func (e *Error) Because(cause error) *Error {
	copied := *e
	copied.Cause = cause
	return &copied
}

// Error gives the message and the code; with no message, the catalogue's title.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Code.Entry().Title
	}
	return text + " (" + string(e.Code) + ")"
}

// Text is the message for a reader, without the code.
func (e *Error) Text() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Code.Entry().Title
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is matches any Error of the same code, so errors.Is(err, &Error{Code: c}) works.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Entry looks the code up; an unknown code is described as CodeInternal.
func (c Code) Entry() Entry {
	if entry, ok := catalogue(c); ok {
		return entry
	}
	entry, _ := catalogue(CodeInternal)
	entry.Code = c
	return entry
}

// AsError finds the Error in err's chain; anything else becomes CodeInternal with
// err as its cause, so that no private text reaches a stranger. nil stays nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var coded *Error
	if errors.As(err, &coded) {
		return coded
	}
	return (&Error{Code: CodeInternal}).Because(err)
}

// HasCode tells whether err's chain holds an Error of the code.
func HasCode(err error, code Code) bool {
	var coded *Error
	return errors.As(err, &coded) && coded.Code == code
}
