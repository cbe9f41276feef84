package localapi

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const jsonType, xmlType = "application/json", "application/xml"

// write sends an answer. Its headers are Date, Content-Type and Content-Length and
// nothing else: programs have been seen to count them.
func (a *API) write(w http.ResponseWriter, c *call, done answer) {
	if done.status == 0 {
		return
	}
	if done.body == nil {
		w.WriteHeader(done.status)
		return
	}
	text, contentType := encode(done.body, c.Header.Values("Accept"))
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	if f, failed := done.body.(*failure); failed && f.StatusCode == http.StatusMethodNotAllowed {
		header.Set("Allow", f.Details["allowed"])
	}
	w.WriteHeader(done.status)
	if c.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that left wants no answer
	}
}

// plain is a body of text.
type plain string

// encode writes a body as JSON, or as XML for who prefers that: browsers have always
// been shown XML here.
func encode(body any, accept []string) (text []byte, contentType string) {
	if text, ok := body.(plain); ok {
		return []byte(text), "text/plain; charset=utf-8"
	}
	var b bytes.Buffer
	if name := element(body); name != "" && prefersXML(accept) {
		b.WriteString(xml.Header)
		if err := xml.NewEncoder(&b).EncodeElement(body, xml.StartElement{Name: xml.Name{Local: name}}); err == nil {
			return b.Bytes(), xmlType
		}
		b.Reset()
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return []byte(`{"status_code":500,"msg":"Internal Server Error","details":{}}`), jsonType
	}
	return b.Bytes(), jsonType
}

// element is the name of a body's element; "" for what is JSON to everybody.
func element(body any) string {
	switch body.(type) {
	case tunnel:
		return "tunnelResource"
	case tunnelList:
		return "tunnelListResource"
	case endpoint:
		return "endpointResource"
	case endpointList:
		return "endpointListResource"
	case exchange:
		return "requestResource"
	case exchangeList:
		return "requestListResource"
	case root:
		return "apiResource"
	case status:
		return "statusResource"
	case *failure:
		return "errorResource"
	}
	return ""
}

func prefersXML(accept []string) bool {
	quality := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(parameters["q"], 64)
		if err != nil {
			q = 1
		}
		quality[kind] = q
	}
	other := max(quality["*/*"], quality["application/*"])
	wanted, named := quality[jsonType]
	if !named {
		wanted = other
	}
	_, inXML := quality[xmlType]
	return inXML && quality[xmlType] > wanted || quality["text/xml"] > wanted
}
