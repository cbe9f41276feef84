// Package trial holds described connections and requests to policies, without a server:
// for people who want to know what a policy would do before it does it, and for the tests
// of policies themselves.
package trial
