// Package credits holds the licences of everything that is built into the program.
package credits

import _ "embed"

//go:generate go run ../../../internal/creditsgen -out credits.txt

// text is generated from the modules that the program is built of, for every system it
// is built for.
//
//go:embed credits.txt
var text string

// Text names the modules, each with its licence in full.
func Text() string { return text }
