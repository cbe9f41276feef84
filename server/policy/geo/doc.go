// Package geo tells where addresses are, and whose, from files in MaxMind's format that
// the operator supplies. Files are read into memory, so that they may be replaced or
// rewritten while they are in use, and read again when they have changed; one that cannot
// be read leaves what was there before in force.
package geo
