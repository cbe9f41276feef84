// Package repetition tells how long a regular expression becomes, before it is compiled.
package repetition

import "regexp/syntax"

// most is where counting ends.
const most = 1 << 30

// Steps is about how many instructions a regular expression compiles to. A repetition that
// is counted, x{1,1000}, stands there as often as it counts, and so does each within it: a
// few bytes can become a million, which takes its time. Steps takes none. Errors are those
// of regexp/syntax.
func Steps(text string) (int, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, err
	}
	return steps(tree), nil
}

func steps(tree *syntax.Regexp) int {
	sum := 0
	for _, sub := range tree.Sub {
		sum = min(most, sum+steps(sub))
	}
	switch tree.Op {
	case syntax.OpLiteral:
		return len(tree.Rune)
	case syntax.OpRepeat:
		times := max(tree.Min, tree.Max) // Max is -1 where there is no end
		return min(most, sum*max(times, 1))
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpCapture:
		return sum + 1
	}
	return sum
}
