// Package login makes an agent and a server known to each other: it finds where the
// server takes agents, makes sure that it is the right one, and only then shows it the
// token. Nothing is sent to a server whose certificate nobody vouches for.
package login
