package trial

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/postern-dev/postern"
)

// agentCaptures is what the agent's API lists of captured requests.
type agentCaptures struct {
	Requests  *[]agentCapture `json:"requests"`
	Truncated bool            `json:"truncated"`
}

type agentCapture struct {
	Remote  string    `json:"remote_addr"`
	Start   time.Time `json:"start"`
	Request struct {
		Method  string            `json:"method"`
		URI     string            `json:"uri"`
		Headers map[string]Values `json:"headers"`
		Raw     []byte            `json:"raw"`
	} `json:"request"`
	Response *struct {
		Status  int               `json:"status_code"`
		Headers map[string]Values `json:"headers"`
		Raw     []byte            `json:"raw"`
	} `json:"response"`
}

// ParseCaptures makes cases of the agent's list of captured requests, the oldest first.
// truncated tells that the agent has left out older ones. What the server wrote into the
// requests on their way is taken out of them again. client is used where the agent does
// not know who it was.
func ParseCaptures(text []byte, client string) (cases []Case, truncated bool, err error) {
	var list agentCaptures
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, false, postern.Errorf(postern.CodeConfigInvalid, "it is no list of captured requests: %v", err).Because(err)
	}
	if list.Requests == nil {
		return nil, false, postern.Errorf(postern.CodeConfigInvalid, "it is no list of captured requests: it has no requests")
	}
	for i := range *list.Requests {
		if c, ok := (*list.Requests)[i].toCase(client); ok {
			cases = append(cases, c)
		}
	}
	slices.SortStableFunc(cases, func(a, b Case) int { return a.Now.Compare(b.Now) })
	return cases, list.Truncated, nil
}

func (a *agentCapture) toCase(client string) (Case, bool) {
	header := canonical(a.Request.Headers)
	said := func(name string) string {
		if values := header[name]; len(values) > 0 {
			return values[len(values)-1]
		}
		return ""
	}
	host := cmp.Or(said("X-Forwarded-Host"), said("Host"))
	scheme := cmp.Or(said("X-Forwarded-Proto"), string(postern.HTTPS))
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Port"} {
		delete(header, name)
	}
	c := Case{
		Connection: Connection{Client: client}, Now: a.Start,
		Request:  &Request{Method: a.Request.Method, URL: scheme + "://" + host + a.Request.URI, Headers: header, Body: bodyOf(a.Request.Raw)},
		Response: Response{Status: http.StatusBadGateway}, // where nobody answered
	}
	if net.ParseIP(a.Remote) != nil {
		c.Connection.Client = net.JoinHostPort(a.Remote, "50000")
	}
	if a.Response != nil {
		c.Response = Response{Status: a.Response.Status, Headers: canonical(a.Response.Headers), Body: bodyOf(a.Response.Raw)}
	}
	_, err := c.Request.head()
	return c, err == nil
}

// bodyOf is what stands behind the head of a message.
func bodyOf(raw []byte) string {
	_, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return string(body)
}
