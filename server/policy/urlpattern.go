package policy

import (
	"regexp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// mostPattern bounds a regular expression's text.
const mostPattern = 1000

// urlPattern is a regular expression that URLs are held to. What ${…} stands for is put in
// before it is read as one.
type urlPattern struct {
	fixed *regexp.Regexp       // nil: it depends on the exchange
	text  *expression.Template // with expressions, where fixed is nil
}

// pattern reads a regular expression (RE2); nil where it is missing or empty.
func (c *config) pattern(name string) *urlPattern {
	text := c.template(name)
	if text == nil {
		return nil
	}
	constant, known := text.Constant()
	switch {
	case !known:
		return &urlPattern{text: text}
	case constant == "":
		return nil
	}
	fixed, err := compileURLPattern(constant)
	if err != nil {
		c.fault(name, "%s", err.Message)
	}
	return &urlPattern{fixed: fixed}
}

func compileURLPattern(text string) (*regexp.Regexp, *postern.Error) {
	if len(text) > mostPattern {
		return nil, postern.Errorf(postern.CodePolicyFailed, "a regular expression of %d bytes; at most %d are allowed", len(text), mostPattern)
	}
	made, err := regexp.Compile(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodePolicyFailed, "%q is no regular expression in RE2's syntax: %v", clip(text), err)
	}
	return made, nil
}

// of is the expression for an exchange; nil where it comes out empty, for what is not there
// fits nothing.
func (p *urlPattern) of(e *Evaluation) (*regexp.Regexp, error) {
	if p.fixed != nil {
		return p.fixed, nil
	}
	text, err := e.fill(p.text)
	if err != nil || text == "" {
		return nil, err
	}
	made, problem := compileURLPattern(text)
	if problem != nil {
		return nil, unusablePattern()
	}
	return made, nil
}

// unusablePattern is for a pattern that depends on the exchange. It says nothing of what
// the pattern has become, as the parser would.
func unusablePattern() *postern.Error {
	return postern.Errorf(postern.CodePolicyFailed, "from has become no regular expression that can be used")
}

// mostMatches is how many matches are kept.
const mostMatches = 100

// replace puts text in the place of all that the expression finds in a URL. matches is that,
// or the beginning of it, as expressions see a list; where there is none the URL stays.
func (p *urlPattern) replace(e *Evaluation, whole, text string) (replaced string, matches []any, err error) {
	pattern, err := p.of(e)
	if err != nil || pattern == nil {
		return whole, []any{}, err
	}
	found := pattern.FindAllString(whole, mostMatches)
	matches = make([]any, len(found))
	for i := range found {
		matches[i] = found[i]
	}
	if len(found) == 0 {
		return whole, matches, nil
	}
	return pattern.ReplaceAllString(whole, text), matches, nil
}
