package policy

import (
	"slices"
	"strings"
)

// unknowns are the variables of ngrok's that this server never has a value for. Policies may
// name them, and are warned: a rule that keeps strangers out by one of them keeps nobody out.
func unknowns() []string {
	all := []string{
		"conn.k8s", "conn.tls.ja4_fingerprint", "conn.tls.server", "conn.ts.end",
		"req.ts.body_received", "res.ts.body_received", "req.trailers", "res.trailers",
	}
	for _, name := range []string{"is_on_blocklist", "is_tor_node", "categories"} {
		all = append(all, "conn.client_ip."+name, "conn.server_ip."+name)
	}
	slices.Sort(all)
	return all
}

// Unknown tells whether this server never has a value for a variable, or a field of one.
func Unknown(name string) bool {
	return slices.ContainsFunc(unknowns(), func(u string) bool { return name == u || strings.HasPrefix(name, u+".") })
}

// reads notes which variables an expression reads; n is the text that has it.
func (c *compiler) reads(n *node, where string, names []string) {
	var warned []string
	for _, name := range names {
		if name == "actions" {
			c.program.asksResults = true
		}
		why := c.unknown(name)
		if why == "" || slices.Contains(warned, name) {
			continue
		}
		warned = append(warned, name)
		c.warn(n, where, "%s: an expression that needs it counts as false, and in a text it is empty", why)
	}
}

// unknown says that there is no value for a variable, and why; "" where there may be one.
func (c *compiler) unknown(name string) string {
	if slices.Contains(unknowns(), name) {
		return "this server never knows " + name
	}
	for _, u := range c.target.Unset {
		if slices.Contains(u.Names, name) {
			return u.Why + ", so this server does not know " + name
		}
	}
	return ""
}
