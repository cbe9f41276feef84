package gate

import (
	"net/http"
	"strings"
)

// passesPreflight tells whether a request is a CORS preflight that passes without a
// credential: one that shows something of the gate's is none, browsers send nothing.
func (g *Gate) passesPreflight(r Request, presented bool) bool {
	return !g.stopPreflights && !presented && r.Method == http.MethodOptions && !r.HasBody &&
		one(r.Header("Origin")) && one(r.Header("Access-Control-Request-Method")) &&
		len(r.Header("Upgrade")) == 0
}

func one(lines []string) bool { return len(lines) == 1 && lines[0] != "" }

// misleading tells whether a service might take a preflight with the header for something
// else: another method, another path, or somebody who is known.
func misleading(name string) bool {
	switch folded := foldName(name); folded {
	case "authorization", "proxy-authorization", "cookie", "cookie2",
		"x-original-method", "x-original-url", "x-rewrite-url", "x-original-uri":
		return true
	default:
		return strings.HasPrefix(folded, "x-http-method") || strings.HasPrefix(folded, "x-method") ||
			strings.HasPrefix(folded, "http-method") || strings.HasPrefix(folded, "x-tunneled-method")
	}
}

// foldName is a name as servers read it that make variables of headers (RFC 3875
// §4.1.18), and their like.
func foldName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}
