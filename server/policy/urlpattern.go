package policy

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// mostPattern bounds a regular expression's text.
const mostPattern = 1000

// urlPattern is a regular expression that URLs are held to. What ${…} stands for is put in
// before it is read as one.
type urlPattern struct {
	fixed *sizedPattern        // nil: it depends on the exchange
	text  *expression.Template // with expressions, where fixed is nil
}

// sizedPattern is a regular expression, and of how many instructions it is.
type sizedPattern struct {
	*regexp.Regexp
	size int
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

func compileURLPattern(text string) (*sizedPattern, *postern.Error) {
	if len(text) > mostPattern {
		return nil, postern.Errorf(postern.CodePolicyFailed, "a regular expression of %d bytes; at most %d are allowed", len(text), mostPattern)
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil, postern.Errorf(postern.CodePolicyFailed, "%q is no regular expression in RE2's syntax: %v", clip(text), err)
	}
	made, size, err := expression.CompilePattern(text)
	if failure, ok := errors.AsType[*expression.Failure](err); ok {
		return nil, postern.Errorf(postern.CodePolicyFailed, "%s", failure.Message)
	}
	return &sizedPattern{made, size}, nil
}

// of is the expression for an exchange; nil where it comes out empty, for what is not there
// fits nothing.
func (p *urlPattern) of(e *Evaluation) (*sizedPattern, error) {
	if p.fixed != nil {
		return p.fixed, nil
	}
	text, err := e.fill(p.text)
	if err != nil || text == "" {
		return nil, err
	}
	var made *sizedPattern
	var problem *postern.Error
	if err := e.work(func() { made, problem = compileURLPattern(text) }); err != nil {
		return nil, err
	}
	if problem != nil {
		return nil, unusablePattern()
	}
	return made, nil
}

// groupName finds what stands for groups in the text that takes a match's place, and the
// dollar signs that stand for themselves.
var groupName = regexp.MustCompile(`\$(\$|\w+)`)

// groups warns of groups that a text names and the pattern does not have, such as $1x for
// what was meant as $1 and an x: nothing takes their place.
func (c *config) groups(name string, from *urlPattern) {
	n := c.node.get(name)
	if from == nil || from.fixed == nil || n.none() {
		return
	}
	for _, found := range groupName.FindAllStringSubmatch(n.text, -1) {
		number, err := strconv.Atoi(found[1])
		there := err == nil && number <= from.fixed.NumSubexp() || err != nil && from.fixed.SubexpIndex(found[1]) >= 0
		if !there && found[1] != "$" {
			c.warn(name, "from has no group %q, so nothing takes the place of %s; a group's name goes on as long as letters, digits and _ do", found[1], found[0])
		}
	}
}

// unusablePattern is for a pattern that depends on the exchange. It says nothing of what
// the pattern has become, as the parser would.
func unusablePattern() *postern.Error {
	return postern.Errorf(postern.CodePolicyFailed, "from has become no regular expression that can be used")
}

const (
	// mostMatches is how many matches are kept, and mostReplaced how many there may be.
	mostMatches  = 100
	mostReplaced = 1000
	// mostSearched bounds the instructions times the bytes of all matches together: what
	// begins everywhere and ends nowhere goes through the rest of the URL for each.
	mostSearched = 20_000_000
	// mostRewritten bounds what becomes of a URL, in bytes.
	mostRewritten = 64 << 10
)

// replace puts text in the place of all that the expression finds in a URL. matches is
// that, or the beginning of it, as expressions see a list; where there is none the URL
// stays.
func (p *urlPattern) replace(e *Evaluation, whole, text string) (replaced string, matches []any, err error) {
	pattern, err := p.of(e)
	if err != nil || pattern == nil {
		return whole, []any{}, err
	}
	most := min(mostReplaced, mostSearched/max(1, pattern.size*len(whole)))
	var found [][]int
	if err = e.work(func() { found = pattern.FindAllStringSubmatchIndex(whole, most+1) }); err != nil {
		return "", nil, err
	}
	if len(found) > most {
		return "", nil, postern.Errorf(postern.CodePolicyFailed, "from is found in the URL more than %d times, which is the most for a pattern and a URL of these lengths", most)
	}
	matches = make([]any, 0, min(mostMatches, len(found)))
	var out []byte
	rest := 0
	for _, at := range found {
		if len(matches) < mostMatches {
			matches = append(matches, whole[at[0]:at[1]])
		}
		if len(out)+len(text)+strings.Count(text, "$")*(at[1]-at[0]) > mostRewritten { // each $ stands for a match at most
			return "", nil, postern.Errorf(postern.CodePolicyFailed, "to would make a URL of more than %d KiB", mostRewritten>>10)
		}
		out = append(out, whole[rest:at[0]]...)
		out = pattern.ExpandString(out, text, whole, at)
		rest = at[1]
	}
	return string(append(out, whole[rest:]...)), matches, nil
}

// work does what may take long, within the time that all expressions have together.
func (e *Evaluation) work(f func()) error {
	if err := e.scope.Work(f); err != nil {
		return postern.Errorf(postern.CodePolicyFailed, "from cannot be looked for: %v", err)
	}
	return nil
}
