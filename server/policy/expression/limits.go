package expression

import "time"

// What a text may be. A policy as a whole has 128 KiB.
const (
	mostText   = 8 << 10  // characters of an expression
	mostNodes  = 2_000    // of its tree, with what macros become
	mostNested = 48       // parentheses, calls and selections within each other
	mostParts  = 128      // placeholders of a template
	mostTexts  = 64 << 10 // bytes of a template
)

// What an evaluation may take. mostCost is in CEL's units: about one for a name that is
// looked up, an operator, and each step of a loop five; one for ten characters that are
// gone through. Ordinary expressions cost 3 to 50. The whole budget is spent within a few
// milliseconds (BenchmarkHostile); a template spends one for all its placeholders.
const (
	mostCost    = 20_000
	mostMemory  = 200_000  // elements and tens of bytes of the largest value within an expression that loops
	mostString  = 64 << 10 // bytes of any text that a function makes, and of what a template becomes
	mostList    = 10_000   // elements of any list that a function makes
	mostDepth   = 16       // lists and maps within each other
	mostPattern = 1_000    // bytes of a regular expression
	mostProgram = 1_000    // instructions that it compiles to
	mostSteps   = 500_000  // instructions times bytes of what it is matched with
)

// mostTime is what all expressions about one message may take together. It is far beyond
// what ordinary policies take, and there for those whose every expression takes the most.
const mostTime = 500 * time.Millisecond
