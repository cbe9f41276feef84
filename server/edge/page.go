package edge

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what a visitor is told about a failure. It says nothing that a stranger
// should not know: causes are for the log.
type page struct {
	Status    int
	Reason    string
	Title     string
	Message   string
	Fix       string
	Code      postern.Code
	Wire      postern.Code
	RequestID postern.RequestID
	Retry     int // after so many seconds, where that helps

	host postern.Hostname
	own  *errorpage.Page // of the domain's or endpoint's owner; nil for none
}

func newPage(failure *postern.Error, id postern.RequestID) page {
	entry := failure.Code.Entry()
	return page{
		Status: entry.Status, Reason: http.StatusText(entry.Status), Title: entry.Title, Message: failure.Text(),
		Fix: entry.Fix, Code: entry.Code, Wire: entry.Wire, RequestID: id, Retry: 1,
	}
}

// newPage notes the failure and makes the page for it.
func (x *Exchange) newPage(failure *postern.Error) page {
	x.failure = failure
	p := newPage(failure, x.ID())
	p.host, p.own = x.host, x.ownPage(failure.Code)
	p.Retry = max(1, int(math.Ceil(x.retry.Seconds())))
	if cause := failure.Cause; cause != nil {
		x.edge.logger.InfoContext(x.edge.ctx, "request failed", "request_id", p.RequestID, "host", x.head.hostText(),
			"error_code", failure.Code, "endpoint_id", x.member, "error", cause)
	}
	return p
}

// headerLine is a line of an answer of our own.
type headerLine struct{ name, value string }

// header is what a page of the given type and length is sent with.
func (p page) header(kind string, length int) []headerLine {
	lines := []headerLine{
		{"Content-Type", kind},
		{"Content-Length", strconv.Itoa(length)},
		{"Cache-Control", "no-store"},
		{"Vary", "Accept"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", p.mayLoad(kind)},
		{"Ngrok-Error-Code", string(p.Wire)},
		{"Postern-Request-Id", string(p.RequestID)},
	}
	if p.Code != p.Wire {
		lines = append(lines, headerLine{"Postern-Error-Code", string(p.Code)})
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		lines = append(lines, headerLine{"Retry-After", strconv.Itoa(p.Retry)})
	}
	return lines
}

// render writes the page in the form that the visitor likes best.
func (p page) render(accept []string) (contentType string, body []byte) {
	kind := preferred(accept)
	if contentType, body, ok := p.renderOwn(kind); ok {
		return contentType, body
	}
	switch kind {
	case asHTML:
		var out bytes.Buffer
		_ = pageTemplate.Execute(&out, p) // a buffer takes everything
		return typeHTML, out.Bytes()
	case asJSON:
		return "application/json", p.json()
	}
	return typeText, p.text()
}

// json has the shape of the API's errors.
func (p page) json() []byte {
	body, _ := json.Marshal(map[string]any{ // strings and a number: it cannot fail
		"error_code":  p.Code,
		"status_code": p.Status,
		"msg":         p.Message,
		"details":     map[string]any{"request_id": p.RequestID, "next_step": p.Fix},
	})
	return append(body, '\n')
}

func (p page) text() []byte {
	var out strings.Builder
	out.WriteString(strconv.Itoa(p.Status) + " " + p.Reason + "\n\n")
	out.WriteString(p.Message + "\n")
	if p.Message != p.Title {
		out.WriteString(p.Title + ".\n")
	}
	out.WriteString(p.Fix + "\n\nRequest id: " + string(p.RequestID) + "\n\n")
	if p.Wire != p.Code {
		out.WriteString(string(p.Code) + "\n")
	}
	out.WriteString(string(p.Wire) + "\n")
	return []byte(out.String())
}

// repliesBefore are what a visitor of the plain HTTP port gets whose connection has no
// place, by the reason: nothing is read from it first.
var repliesBefore = map[string][]byte{
	rejectAddress: replyBefore(postern.CodeTooManyConnections, 1),
	rejectMemory:  replyBefore(postern.CodeMemoryShort, 5),
}

func replyBefore(code postern.Code, retryAfter int) []byte {
	entry := code.Entry()
	body := entry.Title + ".\n" + entry.Fix + "\n\n" + string(entry.Code) + "\n" + string(entry.Wire) + "\n"
	return []byte("HTTP/1.1 " + strconv.Itoa(entry.Status) + " " + http.StatusText(entry.Status) +
		"\r\nConnection: close\r\nCache-Control: no-store\r\nRetry-After: " + strconv.Itoa(retryAfter) + "\r\n" +
		"Ngrok-Error-Code: " + string(entry.Wire) + "\r\nPostern-Error-Code: " + string(entry.Code) + "\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// form is how a page is written.
type form int

const (
	asText form = iota
	asHTML
	asJSON
)

// preferred reads Accept (RFC 9110 §12.5.1) as far as three media types need it:
// the highest quality wins, and among equals the one that is named first. A visitor
// who takes anything gets text.
func preferred(accept []string) form {
	best, quality := asText, 0.0
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, parameters, _ := strings.Cut(item, ";")
		var kind form
		switch media = strings.ToLower(strings.TrimSpace(media)); {
		case media == "text/html" || media == "application/xhtml+xml":
			kind = asHTML
		case media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
			kind = asJSON
		case media == "text/plain" || media == "*/*" || media == "text/*":
			kind = asText
		default:
			continue
		}
		if q := qualityOf(parameters); q > quality {
			best, quality = kind, q
		}
	}
	return best
}

func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || q < 0 || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}
