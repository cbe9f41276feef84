// Package filter reads the filters of lists, such as
//
//	obj.description == "blue" && obj.created_at > timestamp(time.now).subtract("7d")
//
// The language is a part of CEL (https://github.com/google/cel-spec): fields of the
// resource, which is obj, are compared with constants, and conditions are combined with
// &&, || and !. There are no loops, no arithmetic, no regular expressions and no
// functions besides those for texts and times, so a filter ends, costs what its length
// allows, and nearly always is a condition that a database can look up.
//
// A filter becomes a tree of comparisons. What of it concerns fields that the store can
// find rows by goes to the store (Filter.SQL), with values as parameters and names from a
// list; what is left is decided on each resource as it is shown (Filter.Match). Both
// mean the same, and where CEL gives a value, they give that value. Where CEL fails,
// which happens when something that is null is ordered or searched, they are false.
//
// Two things are ngrok's and not CEL's: a list that is empty equals null and "", and
// timestamp(time.now) has add and subtract.
package filter
