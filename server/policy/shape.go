package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// What a policy's text may be.
const (
	maxText  = 128 << 10
	maxDepth = 64
)

// Phases of a policy, by their names in the text. The last two are those of old clients.
const (
	OnTCPConnect         = "on_tcp_connect"
	OnHTTPRequest        = "on_http_request"
	OnHTTPResponse       = "on_http_response"
	OnEventStreamMessage = "on_event_stream_message"
	inbound              = "inbound"
	outbound             = "outbound"
)

// Shape is a policy as far as it can be told without knowing expressions and actions.
type Shape struct{ phases map[string][]rule }

type rule struct {
	conditional bool
	actions     []action
}

type action struct {
	kind    string
	onError string
}

// ReadShape reads a policy. Its errors are sentences about the text, for who wrote it.
func ReadShape(text string) (*Shape, error) {
	document, err := parse(text)
	if err != nil {
		return nil, err
	}
	phases, ok := document.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a policy is an object whose keys are phases, such as %s", OnHTTPRequest)
	}
	shape := &Shape{phases: make(map[string][]rule)}
	known := []string{OnTCPConnect, OnHTTPRequest, OnHTTPResponse, OnEventStreamMessage, inbound, outbound}
	for name, value := range phases {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no phase %q; there are %s", clip(name), strings.Join(known[:4], ", "))
		}
		if shape.phases[name], err = readRules(name, value); err != nil {
			return nil, err
		}
	}
	return shape, nil
}

// Terminates tells whether the policy of an endpoint has the last word on whatever comes:
// the last rule of a phase in which it comes is without a condition, and its last action
// answers or passes on.
func (s *Shape) Terminates(http bool) bool {
	phases := []string{OnTCPConnect}
	if http {
		phases = append(phases, OnHTTPRequest, inbound)
	}
	return slices.ContainsFunc(phases, func(phase string) bool {
		rules := s.phases[phase]
		if len(rules) == 0 {
			return false
		}
		last := rules[len(rules)-1]
		return !last.conditional && last.actions[len(last.actions)-1].terminates()
	})
}

func (a action) terminates() bool {
	switch a.kind {
	case "close-connection", "custom-response", "deny":
		return true
	case "forward-internal":
		return a.onError != "continue"
	}
	return false
}

// parse reads YAML or JSON. The text is a stranger's: it may not nest without end, and
// nothing in it may stand for a multiple of itself.
func parse(text string) (document any, err error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(text), maxText)
	}
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.HasPrefix(strings.TrimSpace(text), "{") && json.Unmarshal([]byte(text), &document) == nil {
		return document, nil
	}
	if err := checkTokens(lexer.Tokenize(text)); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("it is neither YAML nor JSON: %.200s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return document, nil
}

func checkTokens(tokens token.Tokens) error {
	line, brackets, along := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, along = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.CollectEntryType:
			along = 0
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			along++
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return fmt.Errorf("line %d: anchors, aliases and tags are not supported", t.Position.Line)
		}
		if brackets > maxDepth || along > maxDepth {
			return fmt.Errorf("line %d: it is nested deeper than %d", t.Position.Line, maxDepth)
		}
	}
	return nil
}

func readRules(phase string, value any) ([]rule, error) {
	list, ok := value.([]any)
	if !ok && value != nil {
		return nil, fmt.Errorf("%s must be a list of rules", phase)
	}
	rules := make([]rule, len(list))
	for i, item := range list {
		var err error
		if rules[i], err = readRule(fmt.Sprintf("%s[%d]", phase, i), item); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func readRule(at string, value any) (rule, error) {
	var r rule
	fields, ok := value.(map[string]any)
	if !ok {
		return r, fmt.Errorf("%s must be an object with actions", at)
	}
	for name, value := range fields {
		switch name {
		case "name":
			if _, ok := value.(string); !ok && value != nil {
				return r, fmt.Errorf("%s.name must be a text", at)
			}
		case "expressions":
			expressions, ok := value.([]any)
			if !ok && value != nil || slices.ContainsFunc(expressions, func(e any) bool { _, isText := e.(string); return !isText }) {
				return r, fmt.Errorf("%s.expressions must be a list of texts", at)
			}
			r.conditional = len(expressions) > 0
		case "actions":
		default:
			return r, fmt.Errorf("%s has a field %q; known are name, expressions and actions", at, clip(name))
		}
	}
	list, ok := fields["actions"].([]any)
	if !ok || len(list) == 0 {
		return r, fmt.Errorf("%s.actions must be a list of one action at least", at)
	}
	for i, item := range list {
		a, err := readAction(fmt.Sprintf("%s.actions[%d]", at, i), item)
		if err != nil {
			return r, err
		}
		r.actions = append(r.actions, a)
	}
	return r, nil
}

func readAction(at string, value any) (action, error) {
	var a action
	fields, ok := value.(map[string]any)
	if !ok {
		return a, fmt.Errorf("%s must be an object with a type", at)
	}
	for name := range fields {
		if name != "type" && name != "config" {
			return a, fmt.Errorf("%s has a field %q; known are type and config", at, clip(name))
		}
	}
	if a.kind, _ = fields["type"].(string); a.kind == "" {
		return a, fmt.Errorf("%s.type must be the name of an action", at)
	}
	config, ok := fields["config"].(map[string]any)
	if !ok && fields["config"] != nil {
		return a, fmt.Errorf("%s.config must be an object", at)
	}
	a.onError, _ = config["on_error"].(string)
	return a, nil
}

func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}
