package policy

import "slices"

// unknowns are the variables of ngrok's that this server never has a value for. Policies may
// name them, and are warned: a rule that keeps strangers out by one of them keeps nobody out.
func unknowns() []string {
	return []string{
		"conn.client_ip.categories", "conn.client_ip.is_on_blocklist", "conn.client_ip.is_tor_node", "conn.k8s",
		"conn.server_ip.categories", "conn.server_ip.is_on_blocklist", "conn.server_ip.is_tor_node",
		"conn.tls.ja4_fingerprint", "conn.tls.server", "conn.ts.end",
		"req.trailers", "req.ts.body_received", "res.trailers", "res.ts.body_received",
	}
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
