package http1

import (
	"bytes"

	"github.com/postern-dev/postern"
)

// Request is the head of a request. The zero value is ready; one may parse many.
type Request struct {
	Head
	Method []byte
	Target []byte // as sent
	Minor  int    // of HTTP/1.x: 0 or 1
	Host   []byte // the value of Host; nil where HTTP/1.0 sent none

	// Absolute tells that the target is not a path (nor "*"): a whole URL, of which
	// nothing was checked but its characters.
	Absolute bool
}

func badRequest(problem string) *postern.Error {
	return postern.Errorf(postern.CodeRequestInvalid, "the request is malformed: %s", problem)
}

// Parse reads a head, all of it with the empty line at its end (see End). An error
// (CodeRequestInvalid, CodeHeaderTooLarge) means that nothing behind this head may be
// read as a request.
func (r *Request) Parse(b []byte, limits Limits) *postern.Error {
	r.Head.reset()
	r.Method, r.Target, r.Host, r.Minor, r.Absolute = nil, nil, nil, 0, false
	if len(b) > limits.Bytes {
		return TooLarge(limits.Bytes)
	}
	text, rest, ok := line(b, false)
	if !ok {
		return badRequest("a line does not end with CR LF")
	}
	if problem := r.parseRequestLine(text); problem != "" {
		return badRequest(problem)
	}
	if err := r.parseLines(rest, limits.Lines, false, badRequest); err != nil {
		return err
	}
	if problem := r.settle(); problem != "" {
		return badRequest(problem)
	}
	return nil
}

// TooLarge is the error for a head of more than limit bytes.
func TooLarge(limit int) *postern.Error {
	return postern.Errorf(postern.CodeHeaderTooLarge, "the request's head has more than the %d bytes allowed", limit)
}

func (r *Request) parseRequestLine(text []byte) (problem string) {
	first := bytes.IndexByte(text, ' ')
	last := bytes.LastIndexByte(text, ' ')
	if first <= 0 || last == first {
		return "the request line has not three parts"
	}
	r.Method, r.Target = text[:first], text[first+1:last]
	switch string(text[last+1:]) {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
		r.Minor = 0
	default:
		return "the protocol is neither HTTP/1.1 nor HTTP/1.0"
	}
	if !all(r.Method, inToken) {
		return "the method has a character that is not allowed"
	}
	return r.checkTarget()
}

// checkTarget allows what RFC 9112 §3.2 does, and bytes beyond ASCII, which are sent
// raw by more than one program.
func (r *Request) checkTarget() (problem string) {
	switch {
	case len(r.Target) == 0 || !all(r.Target, inTarget):
		return "the target has a blank, a control character or a fragment (#)"
	case string(r.Method) == "CONNECT":
		return "CONNECT is not offered here"
	case r.Target[0] == '/':
		return checkPath(r.Target)
	case string(r.Target) == "*":
		if string(r.Method) != "OPTIONS" {
			return "the target * is for OPTIONS only"
		}
		return ""
	}
	scheme, rest, found := bytes.Cut(r.Target, []byte("://"))
	if !found || !equalFold(scheme, "http") && !equalFold(scheme, "https") || len(rest) == 0 || rest[0] == '/' || rest[0] == '?' {
		return "the target must be a path or a http URL"
	}
	r.Absolute = true
	return ""
}

// checkPath sees to it that "%" is followed by two digits in the path. In the query it
// need not be: too many programs write it raw.
func checkPath(target []byte) (problem string) {
	path, _, _ := bytes.Cut(target, []byte("?"))
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return ""
		}
		if len(path) < i+3 || !all(path[i+1:i+3], isHex) {
			return "a % in the path is not followed by two hexadecimal digits"
		}
		path = path[i+3:]
	}
}

// settle checks what only the whole head tells, and decides the framing.
func (r *Request) settle() (problem string) {
	hosts := 0
	for i := range r.Lines {
		if r.Lines[i].Field == Host {
			r.Host = r.Lines[i].Value
			hosts++
		}
	}
	switch {
	case hosts > 1:
		return "there are two Host lines"
	case hosts == 0 && r.Minor == 1:
		return "there is no Host line"
	case r.lengths > 1:
		return "there are two lengths"
	case r.codings > 0 && r.lengths > 0:
		return "there is a length beside a transfer coding"
	case r.codings > 0 && r.Minor == 0:
		return "HTTP/1.0 knows no transfer codings"
	case r.codings > 0:
		r.Framing = Chunked
	case r.Length > 0:
		r.Framing = Length
	}
	return ""
}

// RequestEdit is how Append changes a request.
type RequestEdit struct {
	Keep  func(l *Line) bool // tells which other lines pass; nil: all
	Host  []byte             // replaces the Host; nil keeps it
	Extra []byte             // whole lines that come last
}

// Append writes the request anew for the next hop: what belongs to the visitor's
// connection is left out, framing is written in one form, and every other line that
// Keep allows stays byte for byte, in its place.
func (r *Request) Append(dst []byte, edit RequestEdit) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	for i := range r.Lines {
		l := &r.Lines[i]
		switch {
		case l.Field == Host:
			if edit.Host != nil {
				dst = AppendLine(dst, "Host", edit.Host)
			} else {
				dst = appendRaw(dst, l)
			}
		case l.Field == ContentLength:
			dst = AppendLength(dst, r.Length)
		case l.Field == TransferEncoding:
			dst = append(dst, chunkedLine...)
		case l.Field.HopByHop() || r.Nominated(l.Name):
		case edit.Keep == nil || edit.Keep(l):
			dst = appendRaw(dst, l)
		}
	}
	if r.lengths == 0 && r.codings == 0 && expectsBody(r.Method) {
		dst = AppendLength(dst, 0) // some services insist on it
	}
	if r.Lists(TE, "trailers") {
		dst = append(dst, "TE: trailers\r\n"...) // gRPC needs it
	}
	dst = append(dst, edit.Extra...)
	return append(dst, "\r\n"...)
}

func expectsBody(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}
