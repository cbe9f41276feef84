package gate

import (
	"net/http"
	"slices"
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
	return slices.ContainsFunc([]string{"authorization", "proxy-authorization", "cookie", "cookie2"}, func(known string) bool { return SameName(name, known) }) ||
		OverridesMethod(name) || OverridesTarget(name)
}
