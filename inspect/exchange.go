package inspect

import (
	"bytes"
	"iter"
	"strings"
	"time"
)

// Exchange is a request and its answer. What a Store gives out is a snapshot that
// nobody changes: share it, do not write to it.
type Exchange struct {
	ID       string // sorts by time
	Endpoint string // the label of the endpoint
	Remote   string // the visitor's address, without a port
	Start    time.Time
	Duration time.Duration // until the answer had come whole; 0 before
	Request  Message
	Response *Message // nil: none yet, or none came
	Done     bool     // nothing more will be known
	Problem  string   // why it ended without a whole answer; "" where it did not
	ReplayOf string   // the id of the exchange whose request was sent again
}

// Message is a request or an answer as it was relayed.
type Message struct {
	// Raw is the head, with the empty line at its end, and as much of the body as was
	// kept, without the framing of chunks.
	Raw      []byte
	Head     int    // length of the head in Raw
	Size     int64  // of the body as it was sent, without framing
	Cut      bool   // the body is longer than what was kept
	Trailers []byte // whole lines
	Whole    bool   // its end has come
}

// Body is what was kept of the body.
func (m *Message) Body() []byte { return m.Raw[m.Head:] }

// startLine is the first line without its end.
func (m *Message) startLine() string {
	first, _, _ := bytes.Cut(m.Raw[:m.Head], []byte("\n"))
	return strings.TrimSuffix(string(first), "\r")
}

// RequestLine gives the parts of a request's first line.
func (m *Message) RequestLine() (method, target, protocol string) {
	method, rest, _ := strings.Cut(m.startLine(), " ")
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		return method, rest[:i], rest[i+1:]
	}
	return method, rest, ""
}

// StatusLine gives the parts of an answer's first line; status is "404 Not Found".
func (m *Message) StatusLine() (protocol, status string, code int) {
	protocol, status, _ = strings.Cut(m.startLine(), " ")
	for _, digit := range status[:min(3, len(status))] {
		code = 10*code + int(digit-'0')
	}
	return protocol, status, code
}

// Lines ranges over the header lines, in their order: name as sent, value without
// blanks around it.
func (m *Message) Lines() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		_, rest, _ := bytes.Cut(m.Raw[:m.Head], []byte("\n"))
		for len(rest) > 0 {
			var text []byte
			text, rest, _ = bytes.Cut(rest, []byte("\n"))
			name, value, found := strings.Cut(strings.TrimRight(string(text), "\r"), ":")
			if found && !yield(name, strings.Trim(value, " \t")) {
				return
			}
		}
	}
}
