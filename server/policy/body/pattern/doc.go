// Package pattern finds and replaces what an RE2 pattern matches in a stream of any
// length, as regexp.Regexp.ReplaceAll would in the whole of it.
//
// The machine of package regexp wants all of a text at once. The one here is given a text
// rune by rune, and holds back as much of it as a match may still need: nothing where no
// match has begun, and Window at most. What is decided goes on at once, so that a slow
// stream is not withheld.
package pattern
