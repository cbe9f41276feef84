// Package memory tells how much memory the process may have and how much it needs, so
// that server and agent can give up what they can spare before the kernel ends them, and
// gives back what a burst has left.
package memory
