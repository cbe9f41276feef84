package policy

import (
	"net/http"

	"github.com/postern-dev/postern/server/policy/expression"
)

// customResponse answers instead of the service.
func customResponse() kind {
	return kind{
		name: "custom-response", phases: in(inRequest, inResponse), ends: always,
		build: func(c *config) action {
			a := &response{
				status:  int(c.integer("status_code", http.StatusOK, 200, 599)),
				body:    c.template("body"),
				headers: c.named("headers", mostHeaders),
			}
			if old := c.template("content"); a.body == nil { // the name of older policies
				a.body = old
			} else if old != nil {
				c.fault("content", "there is body, too, whose old name it is; leave one of them out")
			}
			if a.body != nil { // what visitors put into it makes no HTML of it
				a.guessed = http.DetectContentType([]byte(a.body.Written()))
			}
			for _, h := range a.headers {
				c.answers().checkHeader("headers", h.at, h.name)
			}
			return a
		},
	}
}

// answers is c for headers of an answer that the policy gives itself.
func (c *config) answers() *config {
	also := *c
	also.phase = expression.Response
	return &also
}

type response struct {
	status  int
	guessed string // the type of the body, where the headers do not say it
	body    *expression.Template
	headers []namedTemplate
}

func (a *response) run(e *Evaluation) (Verdict, error) {
	header, err := e.header(a.headers)
	if err != nil {
		return Verdict{}, err
	}
	body, err := e.fill(a.body)
	if err != nil {
		return Verdict{}, err
	}
	if body != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", a.guessed)
	}
	return Verdict{Decision: Respond, Answer: &Answer{Status: a.status, Header: header, Body: []byte(body)}}, nil
}

// header fills in the header of an answer.
func (e *Evaluation) header(from []namedTemplate) (http.Header, error) {
	header := make(http.Header, len(from))
	for _, h := range from {
		value, err := e.fill(h.template)
		if err != nil {
			return nil, err
		}
		header.Add(h.name, value)
	}
	return header, nil
}
