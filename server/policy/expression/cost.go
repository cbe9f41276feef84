package expression

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// costs says what calls of our own functions cost: what goes in and what comes out.
type costs struct {
	sizes map[string]int // of the regular expressions that stand in the text, in instructions
}

// CallCost is asked after a call; nil leaves it to CEL, whose functions it knows.
func (c *costs) CallCost(name, _ string, args []ref.Val, result ref.Val) *uint64 {
	if !isOwn(name) {
		return nil
	}
	cost := 1 + weight(result)
	for _, arg := range args {
		cost += weight(arg)
	}
	if name == matchesName && len(args) == 2 {
		cost += c.matching(args[0], args[1])
	}
	return &cost
}

const (
	stepsPerCost  = 40 // instructions of a regular expression times bytes
	costOfCompile = 2  // for each instruction
)

// matching is what a regular expression costs. It goes by the instructions, which can be
// a hundred times as many as the bytes that they were written in.
func (c *costs) matching(text, pattern ref.Val) uint64 {
	source, _ := pattern.(types.String)
	size, known := c.sizes[string(source)]
	if known {
		return length(text) * uint64(size) / stepsPerCost //nolint:gosec // not negative
	}
	if len(source) > mostPattern {
		return 0 // it was not compiled
	}
	size, _ = types.RegexProgramSize(string(source))
	return length(text)*uint64(size)/stepsPerCost + costOfCompile*uint64(size) //nolint:gosec // not negative
}

// weight is a tenth of the bytes of a text, or the number of elements.
func weight(value ref.Val) uint64 {
	switch v := value.(type) {
	case types.String:
		return uint64(len(v)) / 10
	case types.Bytes:
		return uint64(len(v)) / 10
	case *mapValue:
		return 1
	case traits.Sizer:
		size, _ := v.Size().(types.Int)
		return uint64(max(size, 0))
	}
	return 0
}

func length(value ref.Val) uint64 {
	text, _ := value.(types.String)
	return uint64(len(text))
}

// isOwn tells the functions of this package from CEL's.
func isOwn(name string) bool {
	_, own := ownFunctions()[name]
	return own
}

// What an expression that is not counted may be.
const (
	mostUncounted = 64 // nodes
	mostMatches   = 2  // regular expressions
)

// bounded tells an expression that cannot take long, whatever the values are: it is
// small, it has no loops, and all that it does with a value is to compare it, look into it
// or search in it once. Those are evaluated without counting, which is several times as fast.
func (r *resolver) bounded() bool {
	if r.loops || ast.NodeCount(r.tree) > mostUncounted {
		return false
	}
	matches := 0
	for _, name := range r.calls {
		if name == "matches" {
			matches++
		} else if !slices.Contains(harmless, name) {
			return false
		}
	}
	return matches <= mostMatches && !r.workedOut
}

// harmless are the functions of expressions that need no counting.
var harmless = []string{
	"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "-_", "@in", "_[_]", "_?_:_", "@has",
	"startsWith", "endsWith", "contains", "size", "int", "timestamp", "duration",
	"hasReqHeader", "getReqHeader", "hasReqCookie", "getReqCookie", "hasQueryParam", "getQueryParam",
	"hasResHeader", "getResHeader", "hasResCookie", "getResCookie",
	"inCidrRange", "inCidrRanges", "isPrivateIp", "rand.double", "rand.int", "secrets.get",
	"getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds",
}
