package trial

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// har is an HTTP archive (HAR 1.2), as browsers and proxies save what they have seen.
type har struct {
	Log *struct {
		Entries []harEntry `json:"entries"`
	} `json:"log"`
}

type harEntry struct {
	Started time.Time `json:"startedDateTime"`
	Request struct {
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		Headers []harHeader `json:"headers"`
		Posted  struct {
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status  int         `json:"status"`
		Headers []harHeader `json:"headers"`
		Content struct {
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"content"`
	} `json:"response"`
}

type harHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ParseHAR makes cases of an HTTP archive. Archives do not say whose the requests were:
// client, an address and a port or "", is it for all of them. Bodies in archives are
// decoded, so the answers have no Content-Encoding.
func ParseHAR(text []byte, client string) ([]Case, error) {
	var archive har
	if err := json.Unmarshal(text, &archive); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "it is no HTTP archive (HAR): %v", err).Because(err)
	}
	if archive.Log == nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "it is no HTTP archive (HAR): it has no log")
	}
	cases := make([]Case, 0, len(archive.Log.Entries))
	for i := range archive.Log.Entries {
		e := &archive.Log.Entries[i]
		c := Case{
			Connection: Connection{Client: client}, Now: e.Started,
			Request: &Request{
				Method: e.Request.Method, URL: e.Request.URL, Headers: harHeaders(e.Request.Headers),
				Body: harBody(e.Request.Posted.Text, e.Request.Posted.Encoding),
			},
			Response: Response{Status: e.Response.Status, Headers: harHeaders(e.Response.Headers), Body: harBody(e.Response.Content.Text, e.Response.Content.Encoding)},
		}
		if _, err := c.Request.head(); err != nil {
			continue // data:, blob: and the like never were at a server
		}
		if c.Response.Status == 0 {
			c.Response.Status = http.StatusBadGateway // nobody answered
		}
		delete(c.Request.Headers, "Host")
		delete(c.Response.Headers, "Content-Encoding")
		delete(c.Response.Headers, "Content-Length")
		cases = append(cases, c)
	}
	return cases, nil
}

// harHeaders leaves out those of HTTP/2 that are no headers.
func harHeaders(all []harHeader) map[string]Values {
	header := make(map[string]Values, len(all))
	for _, h := range all {
		if name := http.CanonicalHeaderKey(h.Name); !strings.HasPrefix(name, ":") {
			header[name] = append(header[name], h.Value)
		}
	}
	return header
}

func harBody(text, encoding string) string {
	if encoding != "base64" {
		return text
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text
	}
	return string(decoded)
}
