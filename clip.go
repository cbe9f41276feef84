package postern

import "strings"

// Clip keeps a text that somebody else wrote from filling a message: of one that is longer
// than most bytes only the beginning is left, in whole characters, and "…".
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
