package http1

import (
	"bytes"
	"math"
	"strconv"

	"github.com/postern-dev/postern"
)

// Framing says how a message's body ends (RFC 9112 §6.3).
type Framing uint8

// The framings.
const (
	None       Framing = iota // there is no body
	Length                    // after Head.Length bytes
	Chunked                   // with the last chunk and its trailers
	UntilClose                // with the connection; answers only
)

// Line is one line of a header.
type Line struct {
	Field Field
	Name  []byte // as sent
	Value []byte // without blanks around it
	Raw   []byte // the whole line without its end
}

// Head is what requests and answers have in common.
type Head struct {
	Lines   []Line
	Framing Framing
	Length  int64 // of the body where Framing is Length

	// What Connection says.
	Close     bool // this message is the connection's last
	KeepAlive bool // "keep-alive", which matters to HTTP/1.0
	Switch    bool // "upgrade"
	nominates bool // it lists other names too, which are not to be passed on

	lengths, codings int // lines of Content-Length and Transfer-Encoding
	seen             uint32
}

// Limits bound a head.
type Limits struct {
	Bytes int // all of it
	Lines int // header lines, Host not counted
}

// End finds the end of a head in b, and gives the index behind it; -1 while it is not
// there yet. from is the length that b had at the last call, so that slow senders do
// not make work. A head whose lines end with a bare LF ends too: parsing then refuses.
func End(b []byte, from int) int {
	at := max(from-3, 0)
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		rest := b[at:]
		switch {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// Has tells whether a line of the field was sent. It is cheap.
func (h *Head) Has(f Field) bool { return h.seen&(1<<f) != 0 }

// First is the value of the first line of the field; nil for none.
func (h *Head) First(f Field) []byte {
	if !h.Has(f) {
		return nil
	}
	for i := range h.Lines {
		if h.Lines[i].Field == f {
			return h.Lines[i].Value
		}
	}
	return nil
}

// Nominated tells whether Connection lists the name, which then is not to be passed on.
func (h *Head) Nominated(name []byte) bool {
	if !h.nominates {
		return false
	}
	for i := range h.Lines {
		if h.Lines[i].Field == Connection && lists(h.Lines[i].Value, name) {
			return true
		}
	}
	return false
}

// Lists tells whether a line of the field has the token, which is in lower case, in
// its comma-separated list.
func (h *Head) Lists(f Field, token string) bool {
	if !h.Has(f) {
		return false
	}
	for i := range h.Lines {
		if h.Lines[i].Field != f {
			continue
		}
		for rest := h.Lines[i].Value; rest != nil; {
			var item []byte
			if item, rest = cutItem(rest); equalFold(item, token) {
				return true
			}
		}
	}
	return false
}

func lists(list, name []byte) bool {
	for list != nil {
		var item []byte
		if item, list = cutItem(list); bytes.EqualFold(item, name) {
			return true
		}
	}
	return false
}

// cutItem takes the first item off a comma-separated list; rest is nil after the last.
func cutItem(list []byte) (item, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

func (h *Head) reset() {
	*h = Head{Lines: h.Lines[:0]}
}

// line takes the first line off b, without its end. lenient allows a bare LF.
func line(b []byte, lenient bool) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, nil, false
	}
	text, rest = b[:i], b[i+1:]
	if i > 0 && text[i-1] == '\r' {
		return text[:i-1], rest, true
	}
	return text, rest, lenient
}

// parseLines reads the header lines, up to the empty one. what names the message in
// errors.
func (h *Head) parseLines(b []byte, most int, lenient bool, fault func(string) *postern.Error) *postern.Error {
	for {
		text, rest, ok := line(b, lenient)
		if !ok {
			return fault("a line does not end with CR LF")
		}
		if len(text) == 0 {
			if len(rest) > 0 {
				return fault("the header ends early")
			}
			return nil
		}
		b = rest
		l, problem := parseLine(text)
		if problem != "" {
			return fault(problem)
		}
		if len(h.Lines) > most {
			return postern.Errorf(postern.CodeHeaderTooLarge, "there are more than the %d header lines allowed", most)
		}
		h.Lines = append(h.Lines, l)
		if problem := h.note(l); problem != "" {
			return fault(problem)
		}
	}
}

func parseLine(text []byte) (l Line, problem string) {
	if text[0] == ' ' || text[0] == '\t' {
		return l, "a header line is folded"
	}
	colon := bytes.IndexByte(text, ':')
	if colon <= 0 {
		return l, "a header line has no name"
	}
	l.Name, l.Value, l.Raw = text[:colon], trim(text[colon+1:]), text
	if !all(l.Name, inToken) {
		return l, "a header name has a blank or another character that is not allowed"
	}
	if !all(l.Value, inValue) {
		return l, "a header value has a control character"
	}
	l.Field = fieldOf(l.Name)
	return l, ""
}

// note remembers what a line says about the connection and the framing.
func (h *Head) note(l Line) (problem string) {
	h.seen |= 1 << l.Field
	switch l.Field {
	case Connection:
		h.noteOptions(l.Value)
	case ContentLength:
		n, ok := parseLength(l.Value)
		if !ok {
			return "Content-Length is not a plain number"
		}
		if h.lengths++; h.lengths > 1 && n != h.Length {
			return "there are two lengths"
		}
		h.Length = n
	case TransferEncoding:
		if h.codings++; h.codings > 1 || !equalFold(l.Value, "chunked") {
			return "Transfer-Encoding is something else than chunked"
		}
	}
	return ""
}

func (h *Head) noteOptions(list []byte) {
	for list != nil {
		var option []byte
		option, list = cutItem(list)
		switch {
		case len(option) == 0:
		case equalFold(option, "close"):
			h.Close = true
		case equalFold(option, "keep-alive"):
			h.KeepAlive = true
		case equalFold(option, "upgrade"):
			h.Switch = true
		default:
			h.nominates = true
		}
	}
}

// parseLength reads digits and nothing else (RFC 9110 §8.6).
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// AppendLine adds a header line to a head that is being written.
func AppendLine[T string | []byte](dst []byte, name string, value T) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendLength adds a Content-Length line.
func AppendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

const chunkedLine = "Transfer-Encoding: chunked\r\n"

// appendRaw adds a line as it came.
func appendRaw(dst []byte, l *Line) []byte {
	dst = append(dst, l.Raw...)
	return append(dst, "\r\n"...)
}
