// Package console is what an agent shows: its log, in the formats that tools built
// around ngrok's agent read, and the few lines that a person at a terminal wants.
package console
