// Package demo shows Postern on one machine: a server in a temporary directory on
// free ports of loopback, an agent, and a sample service (or the user's own) that
// becomes reachable at a public URL. Nothing leaves the machine and nothing stays
// behind.
package demo
