package edge_test

import (
	"net/http"
	"strings"
	"testing"
)

// targets are ways to ask for /admin: what a policy with the exact path answers, and one
// with the path and all below.
var targets = []struct {
	target        string
	exact, prefix int
}{
	{"/admin", 403, 403},
	{"/%61dmin", 403, 403},
	{"/%61%64%6d%69%6e", 403, 403},
	{"/admin?x=/y", 403, 403},
	{"/admin%3Fx", 200, 200}, // another path: with a question mark in it
	{"/a/..%2fadmin", 400, 400},
	{"/a%2f..%2fadmin", 400, 400},
	{"/a/../admin", 400, 400},
	{"/a/%2e%2e/admin", 400, 400},
	{"/a/.%2E/admin", 400, 400},
	{"/a/..;/admin", 400, 400},
	{"/./admin", 400, 400},
	{"/%2e/admin", 400, 400},
	{"/admin/.", 400, 400},
	{"//admin", 400, 400},
	{"/%2fadmin", 400, 400},
	{"/%2Fadmin", 400, 400},
	{"/admin//", 400, 400},
	{"/admin;x", 400, 400},
	{"/admin;x/users", 400, 400},
	{"/;/admin", 400, 400},
	{"/admin%00", 400, 400},
	{"/admin%0a", 400, 400},
	{"/%5cadmin", 400, 400},
	{"/a/..%5cadmin", 400, 400},
	{"/%c0%afadmin", 400, 400}, // an overlong slash
	{"/admin%2f", 400, 400},
	{"/admin%2fusers", 400, 400},
	{"/%2e%2e%2fadmin", 400, 400},
	{"/a/%2e%2e%5cadmin", 400, 400},
	{"/\\admin", 400, 400},
	{"/a\\..\\admin", 400, 400},
	{"/admin%3bx", 400, 400},
	{"/admin%09", 400, 400},
	{"/admin%7f", 400, 400},
	{"/admin%0d%0aX-Role:x", 400, 400},
	{"/a%00/../admin", 400, 400},
	{"/admin%c0%80", 400, 400},
	{"/%e0%80%afadmin", 400, 400},
	{"/%c1%a1dmin", 400, 400},
	{"/admin%ff", 400, 400},
	{"/%u0061dmin", 400, 400},
	{"/admin%", 400, 400},
	{"/admin#", 400, 400},
	{"/admin?", 403, 403},
	{"/admin?;/../", 403, 403},
	{"/admin?%00", 403, 403},
	{"/a?/../admin", 200, 200},
	{"/admin/", 200, 403}, // another path, for whoever says ==
	{"/admin/users", 200, 403},
	{"/ADMIN", 200, 200},     // paths have cases
	{"/%2561dmin", 200, 200}, // decoded once, as the service must
	{"/..%252fadmin", 200, 200},
	{"/admin%20", 200, 200},
	{"/admin%23", 200, 200},
}

// No spelling of a path gets past a policy that reads paths.
func TestPathsPastAPolicy(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		g := guard(t, path)
		for _, row := range targets {
			text := row.prefix
			if strings.HasPrefix(row.target, "/admin") && text < 300 {
				text = http.StatusForbidden // texts that begin so are more
			}
			for name, want := range map[string]int{"alone": row.exact, "exact": row.exact, "prefix": row.prefix, "uri": text, "url": text} {
				response := g.raw("GET " + row.target + " HTTP/1.1\r\nHost: " + name + "." + domain + "\r\n\r\n")
				g.sound(t, name+" "+row.target, response.StatusCode, want)
				response = g.raw("GET http://" + name + "." + domain + row.target + " HTTP/1.1\r\nHost: " + name + "." + domain + "\r\n\r\n")
				g.sound(t, name+" whole "+row.target, response.StatusCode, want)
				status := g.asks(":method", "GET", ":scheme", "https", ":authority", name+"."+domain, ":path", row.target)
				g.sound(t, name+" HTTP/2 "+row.target, status, want)
			}
		}
	})
}
