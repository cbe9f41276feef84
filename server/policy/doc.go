// Package policy reads traffic policies: the text that says, phase by phase and rule by
// rule, what is done with a visitor's connection or request.
//
// So far it reads their shape: that the text is YAML or JSON, that phases hold rules and
// rules hold actions, and whether whatever comes is answered in the end. What expressions
// and actions mean it does not know.
package policy
