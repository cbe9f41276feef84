package policy

import (
	"errors"
	"net/http"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/expression"
)

// requestBodyFindReplace changes what visitors send.
func requestBodyFindReplace() kind {
	return kind{
		name: "request-body-find-replace", phases: inRequest, needs: NeedChange,
		build: func(c *config) action { return &bodySubstitutions{c.substitutions(false)} },
	}
}

// responseBodyFindReplace changes what the service answers.
func responseBodyFindReplace() kind {
	return kind{
		name: "response-body-find-replace", phases: inResponse, needs: NeedChange, leaves: askForWhole,
		build: func(c *config) action { return &bodySubstitutions{c.substitutions(false)} },
	}
}

// askForWhole has the service answer with whole bodies that can be searched, or visitors
// could ask for what is not to be found.
func askForWhole(e *Evaluation) {
	for _, name := range []string{"Range", "If-Range"} {
		if e.request.Get(name) != "" {
			e.request.Remove(name)
		}
	}
	if narrowed, changed := body.Decodable(e.request.Values("Accept-Encoding")); changed {
		e.request.Set("Accept-Encoding", narrowed)
	}
}

type bodySubstitutions struct{ all []substitution }

func (a *bodySubstitutions) run(e *Evaluation) (Verdict, error) {
	h := e.head()
	if e.at == expression.Response && !e.hasWholeBody() {
		e.adaptHead()
		return Verdict{}, nil
	}
	if h.Length() == 0 {
		return Verdict{}, nil
	}
	replacements := make([]body.Replacement, len(a.all))
	for i := range a.all {
		var err error
		if replacements[i], err = a.all[i].replacement(e); err != nil {
			return Verdict{}, err
		}
	}
	changed, err := body.Replace(h, h.Body(), h.Length(), replacements, e.world.bodies().Budget())
	if err != nil {
		return Verdict{}, e.blame(err)
	}
	e.setBody(h, changed)
	return Verdict{}, nil
}

// hasWholeBody tells whether there is a body to the answer, and all of it.
func (e *Evaluation) hasWholeBody() bool {
	status := e.response.Status()
	switch {
	case e.request.Method() == http.MethodHead, status < http.StatusOK, status == http.StatusNoContent, status == http.StatusNotModified:
		return false
	}
	return !body.Partial(status, e.response)
}

// adaptHead has an answer without a body agree with the one that has it.
func (e *Evaluation) adaptHead() {
	head, status := e.request.Method() == http.MethodHead, e.response.Status()
	if head && status >= http.StatusOK || status == http.StatusNotModified {
		body.Transformed(e.response)
	}
	if head {
		e.response.SetBody(http.NoBody, -1)
	}
}

// setBody puts something in the place of a body, and has it closed in the end.
func (e *Evaluation) setBody(h Head, changed body.Changed) {
	h.SetBody(changed, changed.Length)
	e.atEnd(func(int) { _ = changed.Close() })
}

// blame gives what is wrong with an answer's body to the service, not to the visitor.
func (e *Evaluation) blame(err error) error {
	var coded *postern.Error
	if e.at == expression.Request || !errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable {
		return err
	}
	return postern.Errorf(postern.CodeUpstreamInvalidResponse, "a policy changes the body, and it cannot be decoded: %s", coded.Message)
}
