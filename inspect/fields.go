package inspect

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// fields are the header lines of a block, written as HTTP/1.1 has them. HTTP/2 lets
// values hold anything; what would look like another line is blanked.
type fields struct {
	method, path, authority, status string
	forwarded                       string // the last X-Forwarded-For
	text                            []byte
	cut                             bool // there are more than may be
}

func (h *fields) reset() { *h = fields{text: h.text[:0]} }

func (h *fields) add(f hpack.HeaderField) {
	value := strings.Map(visible, f.Value)
	switch f.Name {
	case ":method":
		h.method = oneWord(value)
	case ":path":
		h.path = oneWord(value)
	case ":authority":
		h.authority = value
	case ":status":
		h.status = value
	default:
		if !httpguts.ValidHeaderFieldName(f.Name) {
			return
		}
		if f.Name == "x-forwarded-for" {
			h.forwarded = value
		}
		// A few bytes of a block can stand for many lines.
		if h.cut = h.cut || len(h.text)+len(f.Name)+len(value)+4 > mostHead; !h.cut {
			h.text = appendLine(h.text, f.Name, value)
		}
	}
}

func visible(r rune) rune {
	if r == '\r' || r == '\n' || r == 0 {
		return ' '
	}
	return r
}

func oneWord(text string) string { return strings.ReplaceAll(text, " ", "%20") }

func appendLine(text []byte, name, value string) []byte {
	text = append(append(text, name...), ": "...)
	return append(append(text, value...), "\r\n"...)
}

// request is the head of a request.
func (h *fields) request() []byte {
	target := h.path
	if target == "" { // CONNECT
		target = oneWord(h.authority)
	}
	head := []byte(h.method + " " + target + " " + protocol2 + "\r\n")
	if h.authority != "" {
		head = appendLine(head, "host", h.authority)
	}
	return append(append(head, h.text...), "\r\n"...)
}

// answer is the head of an answer.
func (h *fields) answer(code int) []byte {
	head := []byte(protocol2 + " " + strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code)) + "\r\n")
	return append(append(head, h.text...), "\r\n"...)
}

// code is the status; 0 for none.
func (h *fields) code() int {
	code, err := strconv.Atoi(h.status)
	if err != nil || code < 100 || code > 999 {
		return 0
	}
	return code
}
