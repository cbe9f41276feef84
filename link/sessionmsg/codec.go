package sessionmsg

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/postern-dev/postern"
)

const (
	// MaxMessage is the most bytes of one message, in either direction. It is one
	// initial window of a stream, so a message never waits for the peer.
	MaxMessage = 256 << 10

	// maxDepth bounds the nesting of a message. Real ones stay below ten.
	maxDepth = 64
)

// Read reads one JSON object from r into v. It stops at the object's end and not
// at the end of r, because some SDKs keep their side open while they wait. The
// caller sets a deadline on r. Errors of r are returned as they are; a message
// that is too long, too deep or not an object is CodeProtocolViolation.
func Read(r io.Reader, v any) error {
	limited := &io.LimitedReader{R: r, N: MaxMessage + 1}
	var raw json.RawMessage
	if err := json.NewDecoder(limited).Decode(&raw); err != nil {
		if limited.N <= 0 {
			return postern.Errorf(postern.CodeProtocolViolation, "a message is longer than %d bytes", MaxMessage)
		}
		return readError(err)
	}
	return Decode(raw, v)
}

// Decode reads v from one JSON object, under the rules of Read.
func Decode(raw []byte, v any) error {
	if len(raw) > MaxMessage {
		return postern.Errorf(postern.CodeProtocolViolation, "a message is longer than %d bytes", MaxMessage)
	}
	if len(raw) == 0 || raw[0] != '{' {
		return postern.Errorf(postern.CodeProtocolViolation, "a message must be a JSON object")
	}
	if tooDeep(raw) {
		return postern.Errorf(postern.CodeProtocolViolation, "a message is nested deeper than %d levels", maxDepth)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return unreadable(err)
	}
	return nil
}

// Write writes v as one JSON object in one call of w.Write.
func Write(w io.Writer, v any) error {
	raw, err := Encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}

// Encode gives v as one JSON object. A message that the peer would refuse for its
// length is CodeProtocolViolation here already.
func Encode(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, unreadable(err)
	}
	if len(raw) > MaxMessage {
		return nil, postern.Errorf(postern.CodeProtocolViolation, "a message of %d bytes is longer than %d", len(raw), MaxMessage)
	}
	return raw, nil
}

// readError keeps what the transport said and gives a code to what the JSON said.
func readError(err error) error {
	var coded *postern.Error
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &coded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF):
		return err
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return unreadable(err)
	}
	return err
}

// unreadable names the field where the JSON package knows it, and never quotes
// the message: it may hold a token.
func unreadable(err error) *postern.Error {
	var coded *postern.Error
	if errors.As(err, &coded) {
		return coded // of one of our own UnmarshalJSON
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return postern.Errorf(postern.CodeProtocolViolation, "field %s of a message cannot be a JSON %s", mismatch.Field, kindOf(mismatch.Value)).Because(err)
	}
	return postern.Errorf(postern.CodeProtocolViolation, "a message is not readable JSON").Because(err)
}

// kindOf strips the literal that encoding/json appends for numbers ("number 12").
func kindOf(value string) string {
	for i, c := range value {
		if c == ' ' {
			return value[:i]
		}
	}
	return value
}

// tooDeep counts brackets outside strings. encoding/json would accept ten
// thousand levels, and everything that walks the value later would have to.
func tooDeep(raw []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
