package edge

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/postern-dev/postern"
)

// Answer is given to a visitor instead of the service's.
type Answer struct {
	Status int         // 200 to 599
	Header http.Header // without framing; it is not written to
	Body   []byte      // not sent to HEAD, and not with 204 and 304
	// Failure has a page of the edge's sent, with Header: Status and Body do not matter.
	Failure *postern.Error
}

// ErrHangUp is what a Follower returns to end the visitor's connection (in HTTP/2: the
// stream) without an answer.
var ErrHangUp = errors.New("a rule ends the connection")

// verdict is what a follower has decided about an exchange. It travels as an error through
// what sends a request, which has nothing more to do then.
type verdict struct {
	at     int // index of the follower
	answer *Answer
	err    error // where answer is nil
}

func (v *verdict) Error() string { return "a follower answers the request" }

// verdictOf finds the verdict that err is, nil for another failure.
func verdictOf(err error) *verdict {
	if v, ok := errors.AsType[*verdict](err); ok {
		return v
	}
	return nil
}

// hangsUp tells whether nothing is to be answered.
func (v *verdict) hangsUp() bool { return errors.Is(v.err, ErrHangUp) }

// failure is what the page says that is sent for it.
func (v *verdict) failure() *postern.Error { return postern.AsError(v.err) }

// check tells why an answer cannot be sent.
func (a *Answer) check() *postern.Error {
	if a.Status < http.StatusOK || a.Status > 599 {
		return postern.Errorf(postern.CodeHeadInvalid, "an answer of a rule has the status %d, which is none from 200 to 599", a.Status)
	}
	return nil
}

// bodiless tells whether an answer to the method can have no body.
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// reviewAnswer shows the answer of the follower at v.at to those before it. What they make
// of it is x.response; or they have a verdict of their own, which is without an answer.
func (x *Exchange) reviewAnswer(v *verdict) *verdict {
	for v.answer != nil {
		if v.answer.Failure != nil {
			v.answer = x.pageOf(v.answer)
		}
		if problem := v.answer.check(); problem != nil {
			return &verdict{err: problem}
		}
		m := &x.response
		*m = Response{status: v.answer.Status}
		m.fields, m.refuses = mapFields(make(http.Header, len(v.answer.Header))), EditableResponseHeader
		for name, values := range v.answer.Header {
			for _, value := range values {
				m.Add(name, value)
			}
		}
		if m.problem != nil {
			return &verdict{err: m.problem}
		}
		if m.empty = bodiless(x.head.method(), v.answer.Status); !m.empty {
			m.body = bytes.NewReader(v.answer.Body)
		}
		m.length = int64(len(v.answer.Body))
		next := x.review(v.at)
		if next == nil {
			return nil
		}
		v = next
	}
	return v
}

// pageOf is an answer whose page was made. What its header says already is not said again.
func (x *Exchange) pageOf(a *Answer) *Answer {
	p := x.newPage(a.Failure)
	kind, text := p.render(x.head.values("Accept"))
	header := make(http.Header, len(a.Header)+9)
	for _, line := range p.header(kind, len(text)) {
		if line.name != "Content-Length" && (len(a.Header[line.name]) == 0 || line.name == "Vary") {
			header.Add(line.name, line.value)
		}
	}
	for name, values := range a.Header {
		header[name] = append(header[name], values...)
	}
	return &Answer{Status: p.Status, Header: header, Body: text}
}

// answerLines are the header of an answer that followers gave, as it is sent.
func (x *Exchange) answerLines() []headerLine {
	m := &x.response
	header := http.Header(m.fields.(mapFields))
	x.keepCookies(header)
	lines := make([]headerLine, 0, len(header)+1)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			lines = append(lines, headerLine{name, value})
		}
	}
	if m.status != http.StatusNoContent && m.status != http.StatusNotModified && m.length >= 0 {
		lines = append(lines, headerLine{"Content-Length", strconv.FormatInt(m.length, 10)})
	}
	return lines
}
