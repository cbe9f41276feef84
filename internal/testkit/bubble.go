package testkit

import (
	"bytes"
	"regexp"
	"runtime"
)

// InBubble counts the goroutines of the testing/synctest bubble that the caller is in.
// Others come and go outside of it: the runtime's own, and what earlier tests have left.
func InBubble() (count int) {
	bubbleOf := regexp.MustCompile(`(?m)^goroutine \d+.* \[.*(synctest bubble \d+).*\]:$`)
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	mine := bubbleOf.FindSubmatch(stacks) // the caller comes first
	for _, one := range bubbleOf.FindAllSubmatch(stacks, -1) {
		if bytes.Equal(one[1], mine[1]) {
			count++
		}
	}
	return count
}
