package edge_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
)

// deny is a rule that keeps away what a condition holds for.
func deny(condition string) string {
	return `{expressions: ["` + condition + `"], actions: [{type: deny, config: {status_code: 403}}]}`
}

// guards are policies that keep strangers from something, by the name of their endpoint.
var guards = map[string]string{
	"alone":   deny("req.url.path == '/admin'"), // with nothing behind it
	"exact":   deny("req.url.path == '/admin'"),
	"prefix":  deny("req.url.path == '/admin' || req.url.path.startsWith('/admin/')"),
	"uri":     deny("req.url.uri.startsWith('/admin')"),
	"url":     deny("req.url.startsWith('https://url." + domain + "/admin') || req.url.startsWith('http://url." + domain + "/admin')"),
	"role":    deny("'x-role' in req.headers"),
	"spelled": deny("'x_role' in req.headers"),
	"strip":   `{actions: [{type: remove-headers, config: {headers: [x-role]}}]}`,
	"replace": `{actions: [{type: remove-headers, config: {headers: [x-role]}}, {type: add-headers, config: {headers: {x-role: guest}}}]}`,
	"cookie":  deny("'role' in req.cookies"),
	"agent":   deny("req.user_agent.startsWith('bad')"),
	"kind":    deny("req.content_type.startsWith('text/bad')"),
	"query":   deny("'debug' in req.url.query_params"),
	"host":    deny("req.host == 'host." + domain + "'"),
	"name":    deny("req.url.host == 'name." + domain + "'"),
	"origin":  deny("req.url.authority == 'origin." + domain + "'"),
	"method":  deny("req.method == 'DELETE'"),
	"gate":    `{actions: [{type: basic-auth, config: {credentials: ["user:password"]}}]}`,
	"address": `{actions: [{type: restrict-ips, config: {allow: [198.51.100.0/24]}}]}`,
	"token": `{actions: [{type: jwt-validation, config: {issuer: {allow_list: [{value: us}]}, http: {tokens: [{type: jwt, method: header, name: x-token}]},
    jws: {allowed_algorithms: [EdDSA], keys: {sources: {additional_jkus: ["https://issuer.example/keys"]}}}}}]}`,
}

// issuer has signed one token, and tells by which key.
type issuer struct {
	key   ed25519.PublicKey
	token string
}

func newIssuer(t *testing.T) issuer {
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "us"}).SignedString(private)
	must(t, err)
	return issuer{public, token}
}

// Do implements policy.Caller.
func (i issuer) Do(context.Context, outcall.Call) (*outcall.Answer, error) {
	return &outcall.Answer{Status: http.StatusOK, Body: fmt.Appendf(nil, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": %q}]}`, base64.RawURLEncoding.EncodeToString(i.key))}, nil
}

// What may become of a row instead of one status: whatever refuses it, or anything that
// is no breach.
const (
	turnedAway = 0
	harmless   = -1
)

// lastTarget is what a connection asks for at last.
const lastTarget = "/last"

// guarded is a site with an endpoint for each guard, and one that is open to all. Their
// services are as lenient as any: what reaches them that was to be kept away is a breach.
type guarded struct {
	*site
	issuer
	mu       sync.Mutex
	seen     []string
	breaches []string
}

func guard(t *testing.T, path func(*config)) *guarded {
	g := &guarded{issuer: newIssuer(t)}
	g.site = start(t, path, func(c *config) { c.Policy.Calls = g.issuer })
	g.online("open", "{actions: [{type: set-vars, config: {vars: [{a: b}]}}]}")
	for name, rule := range guards {
		g.online(name, rule)
	}
	return g
}

func (g *guarded) online(name, rule string) {
	service := g.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, broken := io.Copy(io.Discard, r.Body)
		g.mu.Lock()
		defer g.mu.Unlock()
		if broken == nil && r.RequestURI != lastTarget {
			g.seen = append(g.seen, name+" "+r.RequestURI)
		}
		if problem := g.breach(name, r); problem != "" {
			g.breaches = append(g.breaches, fmt.Sprintf("%s: %s %s %s %q", problem, r.Method, r.Host, r.RequestURI, r.Header))
		}
	})
	text := "on_http_request:\n- " + rule + "\n"
	if name != "alone" { // the last rule tells what rules have seen
		text += "- {actions: [{type: add-headers, config: {headers: {x-saw: \"${req.method} ${req.url.raw_path}?${req.url.query}\"}}}]}\n"
	}
	for _, scheme := range []postern.Scheme{postern.HTTP, postern.HTTPS} {
		m := newMember(service)
		m.policy = compiled(g.t, scheme, text)
		g.policedPool(string(scheme)+"://"+name+"."+domain, m)
	}
}

// breach is what is wrong about a request that has come to the service of a guard, all of
// which was read.
func (g *guarded) breach(name string, r *http.Request) string {
	if saw, is := r.Header.Get("X-Saw"), r.Method+" "+r.URL.EscapedPath()+"?"+r.URL.RawQuery; saw != is && name != "alone" {
		return "the policy saw " + saw
	}
	switch name {
	case "alone", "exact", "prefix", "uri", "url":
		for _, at := range append(aliased(r, "x-original-url", "x-rewrite-url", "x-original-uri"), r.RequestURI) {
			if at = lenient(at); at == "/admin" || name != "exact" && name != "alone" && strings.HasPrefix(at, "/admin/") {
				return "a protected path"
			}
		}
	case "role", "strip", "spelled":
		if len(aliased(r, "x-role")) > 0 {
			return "a protected header"
		}
	case "replace":
		if all := aliased(r, "x-role"); len(all) != 1 || all[0] != "guest" {
			return "a header that was not replaced"
		}
	case "cookie":
		for pair := range strings.SplitSeq(strings.Join(aliased(r, "cookie"), ";"), ";") {
			if name, _, _ := strings.Cut(pair, "="); strings.TrimSpace(name) == "role" {
				return "a protected cookie"
			}
		}
	case "agent", "kind":
		if strings.Contains(strings.Join(aliased(r, "user-agent", "content-type"), " "), "bad") {
			return "a protected value"
		}
	case "query":
		if strings.Contains(r.URL.RawQuery, "debug") {
			return "a protected parameter"
		}
	case "method":
		for _, method := range append(aliased(r, "x-http-method-override", "x-http-method", "x-method-override"), r.Method) {
			if strings.EqualFold(method, http.MethodDelete) {
				return "a protected method"
			}
		}
	case "token":
		if all := aliased(r, "x-token"); len(all) != 1 || all[0] != g.token {
			return "a token that nobody has checked"
		}
	case "gate":
		if r.Method != http.MethodOptions || r.ContentLength != 0 || len(aliased(r, "cookie", "authorization", "x-http-method-override", "x-original-url")) > 0 {
			return "more than a preflight"
		}
	case "host", "name", "origin", "address":
		return "a protected endpoint"
	}
	return ""
}

// aliased are the values of headers and trailers as a service has them that makes
// variables of both.
func aliased(r *http.Request, names ...string) (all []string) {
	for _, lines := range []http.Header{r.Header, r.Trailer} {
		for name, values := range lines {
			if slices.Contains(names, strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))) {
				all = append(all, values...)
			}
		}
	}
	return all
}

// lenient is a path as the most helpful of services reads it.
func lenient(target string) string {
	target, _, _ = strings.Cut(target, "?")
	if decoded, err := url.PathUnescape(target); err == nil {
		target = decoded
	}
	target, _, _ = strings.Cut(target, "\x00")
	target = strings.ReplaceAll(target, `\`, "/")
	var segments []string
	for segment := range strings.SplitSeq(target, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		segments = append(segments, segment)
	}
	slash := ""
	if strings.HasSuffix(target, "/") {
		slash = "/"
	}
	return path.Clean("/"+strings.Join(segments, "/")) + slash
}

// sound checks that nothing has come through that should not have, after one request of
// the row has been sent.
func (g *guarded) sound(t *testing.T, row string, status, want int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.breaches {
		t.Errorf("%s: %s", row, b)
	}
	if status != want && (want != turnedAway || status < 400) && want != harmless {
		t.Errorf("%s: %d, want %d (came through: %q)", row, status, want, g.seen)
	}
	if status >= 400 && len(g.seen) > 0 && want != harmless { // that may break off behind its head
		t.Errorf("%s: refused, and came through: %q", row, g.seen)
	}
	g.seen, g.breaches = nil, nil
}
