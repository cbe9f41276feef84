// Package policy is traffic policy: text that says, phase by phase and rule by rule, what
// is done with a visitor's connection or request.
//
// Compile reads a text once and gives a Program, which never changes. A Program knows
// nothing of sockets: whoever has a connection or an exchange begins an Evaluation of it,
// asks it phase by phase, and does what the Verdict says. Actions see messages through
// small interfaces, and the server through a World.
//
// Each action has a file of its own and an entry in the table of kinds.
package policy
