// Package postern holds the nouns of the domain: what an endpoint, a hostname, a
// credential, a session and an error are, whichever wire or store they came from.
//
// It imports the standard library only, does no I/O and reads no clock, so every
// other package of the tree may import it and a test may build any of its values
// with a literal. docs/architecture.md shows how the rest hangs together.
//
// Values are made by the Parse functions, which normalise: two Hostnames are the
// same host if and only if they are equal as strings. Code that compares must
// never lower-case, trim or strip anything itself.
package postern
