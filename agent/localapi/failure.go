package localapi

import (
	"encoding/xml"
	"iter"
	"maps"
	"net/http"
	"slices"

	"github.com/postern-dev/postern"
)

// The codes of ngrok's agent. Programs look for them.
const (
	codeTunnelNotFound  = 100
	codeTunnelInvalid   = 102
	codeTunnelRefused   = 103
	codeNotReady        = 104
	codeRequestNotFound = 106
)

// notReadyText is what npm's wrappers wait to go away.
const notReadyText = "a successful ngrok tunnel session has not yet been established"

// failure is an answer that says what is wrong.
type failure struct {
	ErrorCode  int     `json:"error_code,omitempty" xml:",omitempty"`
	StatusCode int     `json:"status_code"`
	Msg        string  `json:"msg"`
	Details    details `json:"details"`
}

// details say what it is about.
type details map[string]string

// MarshalXML writes an element for each.
func (d details) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return encodeNamed(e, start, "Detail", func(yield func(name, text string) bool) {
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if !yield(name, d[name]) {
				return
			}
		}
	})
}

// encodeNamed writes an element with one inside for each text, which has its name as an
// attribute.
func encodeNamed(e *xml.Encoder, start xml.StartElement, each string, texts iter.Seq2[string, string]) error {
	type named struct {
		Name string `xml:"name,attr"`
		Text string `xml:",chardata"`
	}
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for name, text := range texts {
		if err := e.EncodeElement(named{name, text}, xml.StartElement{Name: xml.Name{Local: each}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

func (f *failure) Error() string { return f.Msg }

func tunnelNotFound(name string) *failure {
	return &failure{ErrorCode: codeTunnelNotFound, StatusCode: http.StatusNotFound, Msg: "tunnel not found", Details: map[string]string{"name": name}}
}

func requestNotFound(id string) *failure {
	return &failure{ErrorCode: codeRequestNotFound, StatusCode: http.StatusNotFound, Msg: "request entry not found", Details: map[string]string{"id": id}}
}

func invalidTunnel(text string) *failure {
	return &failure{ErrorCode: codeTunnelInvalid, StatusCode: http.StatusBadRequest, Msg: "invalid tunnel configuration", Details: map[string]string{"err": text}}
}

func malformed(err error) *failure {
	return &failure{StatusCode: http.StatusBadRequest, Msg: "failed to deserialize request parameter", Details: map[string]string{"err": err.Error()}}
}

func generic(status int, details map[string]string) *failure {
	return &failure{StatusCode: status, Msg: http.StatusText(status), Details: details}
}

func unsaved(err error) *failure {
	return &failure{StatusCode: http.StatusInternalServerError, Msg: "the saved tunnels could not be written", Details: map[string]string{"err": postern.AsError(err).Text()}}
}

// startFailure says why an endpoint is not online, in the words that clients look for.
func startFailure(name string, err error) *failure {
	coded := postern.AsError(err)
	switch coded.Code {
	case postern.CodeNotReady:
		return &failure{
			ErrorCode: codeNotReady, StatusCode: http.StatusServiceUnavailable,
			Msg: "ngrok is not yet ready to start tunnels", Details: map[string]string{"err": notReadyText},
		}
	case postern.CodeConfigInvalid, postern.CodeUpstreamAddressInvalid, postern.CodeFlagInvalid, postern.CodeFileUnreadable,
		postern.CodeMaterialInvalid, postern.CodePassphraseNeeded:
		return invalidTunnel(coded.Text())
	case postern.CodeConflict:
		return invalidTunnel(`tunnel "` + name + `" already exists`)
	}
	return refused(coded)
}

// refused is the server's answer: text, an empty line, ngrok's code. Ours stands behind
// the text where there is one.
func refused(coded *postern.Error) *failure {
	text, wire := coded.Text(), coded.Code.Entry().Wire
	if coded.Code != wire {
		text += " (" + string(coded.Code) + ")"
	}
	return &failure{
		ErrorCode: codeTunnelRefused, StatusCode: http.StatusBadGateway, Msg: "failed to start tunnel",
		Details: map[string]string{"err": text + "\r\n\r\n" + string(wire) + "\r\n"},
	}
}
