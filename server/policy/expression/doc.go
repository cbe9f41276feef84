// Package expression evaluates the expressions of traffic policies: what stands in a
// rule's expressions, and in the ${…} of what its actions are told.
//
// The language is CEL (https://github.com/google/cel-spec) with the variables and the
// functions of docs/policy-expressions.md. An expression is compiled once, for the Phase
// that it stands in, and is then evaluated by many goroutines at the same time:
//
//	x, problem := expression.Compile(expression.Request, `req.method == "GET"`)
//	…
//	matches, err := x.True(&expression.Scope{Request: request})
//
// What an expression names is asked of the Objects of its Scope when it is needed, and
// only then. Every evaluation is bounded: see limits.go. An error of an evaluation is a
// Failure, and says where and what, but no value: values may be secrets.
package expression
