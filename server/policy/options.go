package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// OfOptions says in a policy what the options of older clients mean for an endpoint of a
// scheme: of ngrok's protocol, each under its name there and in that protocol's JSON. The text is JSON, "" where they
// ask for nothing; there may be passwords in it. An option that cannot be honoured is
// CodeOptionUnsupported, one that cannot be understood CodeBindInvalid: nothing is passed
// over, for it may be what keeps strangers out.
func OfOptions(options map[string]json.RawMessage, scheme postern.Scheme) (postern.Secret, error) {
	d := draft{web: scheme == postern.HTTP || scheme == postern.HTTPS}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if err := d.option(name, options[name]); err != nil {
			return "", err
		}
	}
	phases := make(map[string][]any) // not every endpoint has all of them
	for phase, rules := range map[string][]any{OnTCPConnect: d.connect, OnHTTPRequest: d.ordered(), OnHTTPResponse: d.response} {
		if len(rules) > 0 {
			phases[phase] = rules
		}
	}
	if len(phases) == 0 {
		return "", nil
	}
	text, err := json.Marshal(phases)
	if err != nil {
		return "", postern.Errorf(postern.CodeInternal, "options cannot be written as a policy").Because(err)
	}
	return postern.Secret(text), nil
}

// draft is a policy in the making.
type draft struct {
	web               bool // visitors speak HTTP
	connect, response []any
	request           []ranked
}

// ranked is a rule for requests, and how early it stands: who may not come in needs no
// header of theirs edited.
type ranked struct {
	rank int
	rule any
}

// The order of what older clients ask for.
const (
	rankAddress = iota
	rankSignIn
	rankAgents
	rankBreaker
	rankHeaders
	rankPolicy
)

func (d *draft) ordered() []any {
	slices.SortStableFunc(d.request, func(a, b ranked) int { return a.rank - b.rank })
	all := make([]any, len(d.request))
	for i, r := range d.request {
		all[i] = r.rule
	}
	return all
}

func doing(kind string, config map[string]any) map[string]any {
	return map[string]any{"actions": []any{map[string]any{"type": kind, "config": config}}}
}

func onlyIf(expression string, rule map[string]any) map[string]any {
	rule["expressions"] = []string{expression}
	return rule
}

func (d *draft) option(name string, raw json.RawMessage) error {
	var err error
	switch name {
	case "TrafficPolicy", "WebsocketTCPConverter", "ErrorPages":
		return nil // a policy by itself, and what no policy says
	case "Auth":
		err = d.auth(raw)
	case "BasicAuth":
		err = d.basicAuth(raw)
	case "IPRestriction":
		err = d.restriction(raw)
	case "UserAgentFilter":
		err = d.agents(raw)
	case "CircuitBreaker":
		err = d.breaker(raw)
	case "RequestHeaders":
		err = d.headers(raw, func(rule any) { d.request = append(d.request, ranked{rankHeaders, rule}) })
	case "ResponseHeaders":
		err = d.headers(raw, func(rule any) { d.response = append(d.response, rule) })
	case "Policy":
		err = d.oldPolicy(raw)
	case "Compression":
		d.response = append(d.response, doing("compress-response", map[string]any{}))
	default:
		return postern.Errorf(postern.CodeOptionUnsupported, "this server does not have %.40s; leave it out", name)
	}
	if err != nil && postern.AsError(err).Code != postern.CodeInternal {
		return err // it has a code of its own
	}
	if err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "the option %s cannot be read: %v", name, err)
	}
	return nil
}

// auth reads the one "user:password" of the oldest clients.
func (d *draft) auth(raw json.RawMessage) error {
	var pair string
	if err := json.Unmarshal(raw, &pair); err != nil || pair == "" {
		return err
	}
	if !strings.Contains(pair, ":") {
		return fmt.Errorf("it must be user:password")
	}
	d.signIn([]string{pair}, nil)
	return nil
}

func (d *draft) basicAuth(raw json.RawMessage) error {
	var o struct {
		Credentials []struct {
			Username          string `json:"username"`
			CleartextPassword string `json:"cleartext_password"`
			HashedPassword    string `json:"hashed_password"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	var pairs, hashed []string
	for _, c := range o.Credentials {
		if c.HashedPassword == "" {
			pairs = append(pairs, c.Username+":"+c.CleartextPassword)
			continue
		}
		hash, err := base64.StdEncoding.DecodeString(c.HashedPassword)
		if err != nil {
			hash = []byte(c.HashedPassword)
		}
		hashed = append(hashed, c.Username+":"+string(hash))
	}
	d.signIn(pairs, hashed)
	return nil
}

func (d *draft) signIn(pairs, hashed []string) {
	if len(pairs)+len(hashed) == 0 {
		return
	}
	config := map[string]any{"credentials": escaped(pairs), "short_passwords": true}
	if len(hashed) > 0 {
		config["hashed_credentials"] = escaped(hashed)
	}
	d.request = append(d.request, ranked{rankSignIn, doing("basic-auth", config)})
}

// escape keeps ${ in a text that is none of ours from being filled in.
func escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

func escaped(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = escape(text)
	}
	return all
}

func (d *draft) restriction(raw json.RawMessage) error {
	var o struct {
		Allow []string `json:"allow_cidrs"`
		Deny  []string `json:"deny_cidrs"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	if len(o.Allow)+len(o.Deny) == 0 {
		return nil
	}
	if len(o.Allow) == 0 {
		return postern.Errorf(postern.CodeDenyAlone, "the option IPRestriction denies %d networks and allows none, so nobody would be let in; allow 0.0.0.0/0 and ::/0 to let all others in", len(o.Deny))
	}
	rule := doing("restrict-ips", map[string]any{"enforce": true, "allow": list(o.Allow), "deny": list(o.Deny)})
	if d.web { // who is kept out is told so
		d.request = append(d.request, ranked{rankAddress, rule})
	} else {
		d.connect = append(d.connect, rule)
	}
	return nil
}

func list(texts []string) []string { return append([]string{}, texts...) }

// agents lets those in whose User-Agent an expression of the one list fits, if there is
// one, and none that the other list fits.
func (d *draft) agents(raw json.RawMessage) error {
	var o struct {
		Allow []string `json:"allow"`
		Deny  []string `json:"deny"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	refuse := func(expression string) {
		d.request = append(d.request, ranked{rankAgents, onlyIf(expression, doing("deny", map[string]any{"status_code": 403}))})
	}
	for _, pattern := range slices.Concat(o.Allow, o.Deny) {
		if _, err := compileURLPattern(pattern); err != nil {
			return fmt.Errorf("%s", err.Text())
		}
	}
	if len(o.Deny) > 0 {
		refuse(fits(o.Deny))
	}
	if len(o.Allow) > 0 {
		refuse("!(" + fits(o.Allow) + ")")
	}
	return nil
}

// fits is an expression that is true for a User-Agent that one of the patterns fits.
func fits(patterns []string) string {
	all := make([]string, len(patterns))
	for i, pattern := range patterns {
		all[i] = "req.user_agent.matches(" + strconv.Quote(pattern) + ")"
	}
	return strings.Join(all, " || ")
}

// oldPolicy reads the policies of clients before there were phases.
func (d *draft) oldPolicy(raw json.RawMessage) error {
	type rule struct {
		Name        string
		Expressions []string
		Actions     []struct {
			Type   string
			Config json.RawMessage
		}
	}
	var o struct{ Inbound, Outbound []rule }
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	write := func(r rule) any {
		var actions []any
		for _, a := range r.Actions {
			actions = append(actions, map[string]any{"type": a.Type, "config": a.Config})
		}
		return map[string]any{"name": r.Name, "expressions": r.Expressions, "actions": actions}
	}
	for _, r := range o.Inbound {
		d.request = append(d.request, ranked{rankPolicy, write(r)})
	}
	for _, r := range o.Outbound {
		d.response = append(d.response, write(r))
	}
	return nil
}

func (d *draft) breaker(raw json.RawMessage) error {
	var o struct {
		Threshold float64 `json:"error_threshold"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	if o.Threshold > 0 {
		d.request = append(d.request, ranked{rankBreaker, doing("circuit-breaker", map[string]any{"error_threshold": o.Threshold})})
	}
	return nil
}

func (d *draft) headers(raw json.RawMessage, add func(rule any)) error {
	var o struct {
		Add    []string          `json:"add"`
		Remove []string          `json:"remove"`
		Parsed map[string]string `json:"addParsed"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("its JSON is not as expected")
	}
	if len(o.Remove) > 0 {
		add(doing("remove-headers", map[string]any{"headers": o.Remove}))
	}
	// A rule for each: one name may be added twice.
	for _, line := range o.Add {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q must be a name, a colon and a value", clip(line))
		}
		add(doing("add-headers", map[string]any{"headers": map[string]string{strings.TrimSpace(name): escape(strings.TrimSpace(value))}}))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parsed)) {
		add(doing("add-headers", map[string]any{"headers": map[string]string{name: escape(o.Parsed[name])}}))
	}
	return nil
}
