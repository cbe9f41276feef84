package edge

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

// check refuses what net/http lets through and an upstream could read in two ways.
// Framing (two lengths, a malformed chunk, blanks before a colon, bare control
// characters) net/http has refused before, or settled: see onlooker. The message is
// written anew from what was parsed, so an upstream sees one reading only.
func (x *webExchange) check() error {
	r := x.r
	if r.ProtoMajor == 1 {
		if x.visitor.requests++; x.visitor.onlooker.refuses(x.visitor.requests) {
			x.w.Header().Set("Connection", "close")
			return postern.Errorf(postern.CodeRequestInvalid, "a request must not have both Content-Length and Transfer-Encoding")
		}
	}
	switch {
	case r.Method == http.MethodConnect:
		return postern.Errorf(postern.CodeRequestInvalid, "CONNECT is not offered here")
	case !httpguts.ValidHeaderFieldName(r.Method): // a method is a token, too; with HTTP/2 nobody has looked
		return postern.Errorf(postern.CodeRequestInvalid, "the method has a character that is not allowed")
	case r.ProtoMajor > 1 && !plainLength(r.Header["Content-Length"]):
		return postern.Errorf(postern.CodeRequestInvalid, "Content-Length is not one plain number")
	case strings.Contains(r.RequestURI, "#"):
		return postern.Errorf(postern.CodeRequestInvalid, "the request target must not contain a fragment (#)")
	case !targetAllowed(r):
		return postern.Errorf(postern.CodeRequestInvalid, "the request target must be a path or a http URL")
	}
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		// A proxy in front that honours Transfer-Encoding in HTTP/1.0, where it does not
		// exist, would see this connection's next request begin elsewhere: have none.
		x.w.Header().Set("Connection", "close")
	}
	lines := 0
	for _, values := range r.Header {
		lines += len(values)
	}
	if most := x.edge.config.Limits.HeaderCount; lines > most {
		return postern.Errorf(postern.CodeHeaderTooLarge, "the request has %d header lines; at most %d are allowed", lines, most)
	}
	return nil
}

// plainLength tells whether the values of Content-Length are one number, or none: of
// several, the server of HTTP/2 takes the first, and for what is no number 0.
func plainLength(values []string) bool {
	if len(values) == 0 {
		return true
	}
	_, err := strconv.ParseUint(values[0], 10, 63) // takes no sign
	return len(values) == 1 && err == nil
}

// targetAllowed tells whether the target has one of the forms of RFC 9112 §3.2 that a
// server takes: a path, a whole http URL without a user, "*" for OPTIONS.
func targetAllowed(r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.RequestURI, "/"):
		return true
	case r.RequestURI == "*":
		return r.Method == http.MethodOptions
	}
	return (r.URL.Scheme == "http" || r.URL.Scheme == "https") && r.URL.Host != "" && r.URL.User == nil
}

// requestHost is the name in a Host header, without its port.
func requestHost(text string) (postern.Hostname, error) {
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		if _, err := strconv.ParseUint(text[i+1:], 10, 16); err != nil && text[i+1:] != "" {
			return "", postern.Errorf(postern.CodeRequestInvalid, "the port in the Host header is not a number from 0 to 65535")
		}
		text = text[:i]
	}
	if text == "" {
		return "", postern.Errorf(postern.CodeRequestInvalid, "the request names no host")
	}
	if strings.HasPrefix(text, "[") {
		// An IPv6 address is nobody's name, but a well-formed question.
		return "", offline(postern.Hostname(strings.Trim(text, "[]")))
	}
	host, err := postern.ParseHostname(text)
	if err != nil || host.Wildcard() {
		return "", postern.Errorf(postern.CodeRequestInvalid, "the Host header is not a valid host name").Because(err)
	}
	return host, nil
}
