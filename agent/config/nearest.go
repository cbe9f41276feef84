package config

import "slices"

// Nearest finds the candidate that a typing error of key most likely meant; "" when
// none is close. It sorts the candidates.
func Nearest(key string, candidates []string) string {
	slices.Sort(candidates) // a stable choice
	best, least := "", len(key)/3+2
	for _, candidate := range candidates {
		if d := distance(key, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes. Keys of people are short; longer text is far
// from every key.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
