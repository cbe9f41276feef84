// Package nearest finds what somebody meant who has mistyped a name.
package nearest

import "strings"

// longest is the most bytes of a name that is looked at: names of people are short, and a
// look takes time with the product of two lengths.
const longest = 64

// Of is the candidate that a mistyped name most likely means; "" where none is close. Case
// and underscores hardly count. Of several that are as close it is the first by the alphabet.
func Of(name string, candidates []string) string {
	best, least := "", 1+max(1, len(name)/3)
	if len(name) > longest {
		return ""
	}
	for _, candidate := range candidates {
		if plain(candidate) == plain(name) {
			return candidate
		}
		d := distance(strings.ToLower(name), strings.ToLower(candidate))
		if d < least || d == least && best != "" && candidate < best {
			best, least = candidate, d
		}
	}
	return best
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// distance counts the bytes that differ, are missing, are too many, or have changed places
// (optimal string alignment). a is no longer than longest.
func distance(a, b string) int {
	if len(b) > 2*longest {
		return len(b)
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
