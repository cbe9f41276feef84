package eventstream

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// Event is one block of a stream: all lines up to an empty one. A client makes an event of
// it where it has data.
type Event struct {
	bytes []byte
	lines []line
}

// line is a line of a block. A comment has all of it in value, and no name.
type line struct {
	name  string // of the field
	head  string // what comes before the value: the name, a colon, a space
	value string
	end   string
}

// byteOrderMark may begin a stream, and belongs to nothing.
const byteOrderMark = "\ufeff"

// parse reads a block. first tells that it begins the stream.
func parse(block []byte, first bool) *Event {
	e := &Event{bytes: block}
	rest := string(block)
	for len(rest) > 0 {
		var l line
		n := strings.IndexAny(rest, "\r\n")
		if n < 0 {
			n = len(rest)
		}
		text := rest[:n]
		rest = rest[n:]
		end := min(1, len(rest))
		if strings.HasPrefix(rest, "\r\n") {
			end = 2
		}
		l.end, rest = rest[:end], rest[end:]
		l.split(text, first && len(e.lines) == 0)
		e.lines = append(e.lines, l)
	}
	return e
}

// split reads a line without its end.
func (l *line) split(text string, first bool) {
	plain := text
	if first {
		plain = strings.TrimPrefix(text, byteOrderMark)
	}
	name, value, _ := strings.Cut(plain, ":")
	l.name, l.value = name, strings.TrimPrefix(value, " ")
	l.head = text[:len(text)-len(l.value)]
}

// Bytes is the block as it is to be sent, with the empty line that ends it.
func (e *Event) Bytes() []byte { return e.bytes }

// Field is what a client takes for a field: data is all lines of that name, joined by line
// feeds; of other fields the last line counts. ok is false where there is none.
func (e *Event) Field(name string) (value string, ok bool) {
	var values []string
	for i := range e.lines {
		if e.lines[i].name == name && name != "" {
			values = append(values, e.lines[i].value)
		}
	}
	switch {
	case len(values) == 0:
		return "", false
	case name == "data":
		return strings.Join(values, "\n"), true
	}
	return values[len(values)-1], true
}

// hasFields tells whether there is anything but comments.
func (e *Event) hasFields() bool {
	return slices.ContainsFunc(e.lines, func(l line) bool { return l.name != "" })
}

// ErrBreaks is a value that would begin another field.
var ErrBreaks = errors.New("the value for a field of an event has a line break, which only data may have")

// Set replaces all lines of a field, at the place of the first. A field that there is none
// of comes last. The value of data may have line breaks, that of others none: an error.
func (e *Event) Set(name, value string) error {
	if before, ok := e.Field(name); ok && before == value {
		return nil
	}
	values := []string{value}
	if strings.ContainsAny(value, "\r\n") {
		if name != "data" {
			return ErrBreaks
		}
		values = strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(value), "\n")
	}
	at := slices.IndexFunc(e.lines, func(l line) bool { return l.name == name })
	like := line{head: name + ": ", end: "\n"}
	switch {
	case at >= 0:
		like = e.lines[at]
	case len(e.lines) > 0:
		at = len(e.lines)
		if e.lines[at-1].blank() {
			at--
		}
		if last := &e.lines[len(e.lines)-1]; last.end == "" {
			last.end = "\n" // the stream has no end of its own
		}
		like.end = e.lines[0].end
	default:
		at = 0
	}
	made := make([]line, len(values))
	for i, v := range values {
		made[i] = like.with(name, v, i == 0)
		if made[i].end == "" && i < len(values)-1 {
			made[i].end = "\n"
		}
	}
	before, behind := e.lines[:at:at], e.lines[at:]
	behind = slices.DeleteFunc(slices.Clone(behind), func(l line) bool { return l.name == name })
	e.lines = slices.Concat(before, made, behind)
	e.write()
	return nil
}

// blank tells of the line that ends a block.
func (l *line) blank() bool { return l.head == "" && l.value == "" }

// with is a line of the same style with another value. A mark at the stream's beginning
// stays before the first.
func (l line) with(name, value string, first bool) line {
	head := l.head
	if !first {
		head = strings.TrimPrefix(head, byteOrderMark)
	}
	if !strings.Contains(head, ":") {
		head += ": "
	}
	if strings.HasPrefix(value, " ") && !strings.HasSuffix(head, " ") {
		head += " "
	}
	return line{name: name, head: head, value: value, end: l.end}
}

// write makes the bytes anew.
func (e *Event) write() {
	var b bytes.Buffer
	for _, l := range e.lines {
		b.WriteString(l.head)
		b.WriteString(l.value)
		b.WriteString(l.end)
	}
	e.bytes = b.Bytes()
}
