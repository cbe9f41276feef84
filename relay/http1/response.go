package http1

import (
	"bytes"

	"github.com/postern-dev/postern"
)

// Response is the head of an answer. The zero value is ready; one may parse many.
type Response struct {
	Head
	Code   int
	Reason []byte
	Minor  int // of HTTP/1.x: 0 or 1

	// Sound tells that the next answer on this connection can be found behind this
	// one, and that the service wants one.
	Sound bool
}

func badResponse(problem string) *postern.Error {
	return (&postern.Error{Code: postern.CodeUpstreamInvalidResponse}).Because(
		postern.Errorf(postern.CodeUpstreamInvalidResponse, "the answer is malformed: %s", problem))
}

// Parse reads a head, all of it with the empty line at its end (see End). bodiless
// tells that the request was HEAD, whose answers have no body. Errors are
// CodeUpstreamInvalidResponse. A bare LF ends a line too: small devices send it, and
// every line is written anew.
func (r *Response) Parse(b []byte, limits Limits, bodiless bool) *postern.Error {
	r.Head.reset()
	r.Code, r.Reason, r.Minor, r.Sound = 0, nil, 0, false
	if len(b) > limits.Bytes {
		return badResponse("its head is too large")
	}
	text, rest, _ := line(b, true)
	if problem := r.parseStatusLine(text); problem != "" {
		return badResponse(problem)
	}
	if err := r.parseLines(rest, limits.Lines, true, badResponse); err != nil {
		return badResponse(err.Text())
	}
	if r.codings > 0 && r.Minor == 0 {
		return badResponse("HTTP/1.0 knows no transfer codings")
	}
	r.settle(bodiless)
	return nil
}

func (r *Response) parseStatusLine(text []byte) (problem string) {
	const version = "HTTP/1."
	// HTTP/1.x SP 3DIGIT [SP reason]
	if len(text) < len(version)+5 || string(text[:len(version)]) != version || text[len(version)+1] != ' ' {
		return "it does not begin like HTTP/1.1"
	}
	switch text[len(version)] {
	case '1':
		r.Minor = 1
	case '0':
		r.Minor = 0
	default:
		return "its version is neither HTTP/1.1 nor HTTP/1.0"
	}
	digits, reason := text[len(version)+2:len(version)+5], text[len(version)+5:]
	code, ok := parseLength(digits)
	if !ok || code < 100 {
		return "its status is not a number of three digits"
	}
	if len(reason) > 0 && (reason[0] != ' ' || !all(reason, inValue)) {
		return "its status is followed by something that is not allowed"
	}
	r.Code, r.Reason = int(code), bytes.TrimPrefix(reason, []byte(" "))
	return ""
}

// settle decides the framing by RFC 9112 §6.3. A length beside a coding is an error
// that services do make: the coding wins, the length is not passed on, and the
// connection is not used again.
func (r *Response) settle(bodiless bool) {
	both := r.codings > 0 && r.lengths > 0
	switch {
	case bodiless || r.Code < 200 || r.Code == 204 || r.Code == 304:
		r.Framing = None
	case r.codings > 0:
		r.Framing = Chunked
	case r.lengths > 0:
		r.Framing = Length
		if r.Length == 0 {
			r.Framing = None
		}
	default:
		r.Framing = UntilClose
	}
	r.Sound = r.Minor == 1 && !r.Close && !both && r.Framing != UntilClose
}

// appendAnnounced writes the names that may be trailers.
func appendAnnounced(dst []byte, l *Line) []byte {
	begin, names := len(dst), 0
	dst = append(dst, "Trailer: "...)
	for rest := l.Value; rest != nil; {
		var name []byte
		if name, rest = cutItem(rest); len(name) == 0 || !all(name, inToken) || !mayTrail(name) {
			continue
		}
		if names++; names > 1 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, name...)
	}
	if names == 0 {
		return dst[:begin]
	}
	return append(dst, "\r\n"...)
}

// Append writes the answer anew for the visitor: what belongs to the service's
// connection is left out, framing is written in one form, and every other line stays
// byte for byte, in its place. A body that ends with its connection is announced as
// chunked, and the caller must send it so. extra is whole lines that come last.
func (r *Response) Append(dst []byte, extra []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+r.Code/100), byte('0'+r.Code/10%10), byte('0'+r.Code%10), ' ')
	dst = append(dst, r.Reason...)
	dst = append(dst, "\r\n"...)
	lengthWritten := false
	for i := range r.Lines {
		l := &r.Lines[i]
		switch {
		case l.Field == ContentLength:
			if !lengthWritten && r.codings == 0 && r.Code >= 200 && r.Code != 204 {
				dst = AppendLength(dst, r.Length)
				lengthWritten = true
			}
		case l.Field == Trailer:
			if r.Framing == Chunked {
				dst = appendAnnounced(dst, l)
			}
		case l.Field.HopByHop() || r.Nominated(l.Name):
		default:
			dst = appendRaw(dst, l)
		}
	}
	if r.Framing == Chunked || r.Framing == UntilClose {
		dst = append(dst, chunkedLine...)
	}
	dst = append(dst, extra...)
	return append(dst, "\r\n"...)
}
