// Package console is what an agent shows: its log, in the formats and the words that
// tools built around ngrok's agents read (Handler), and what a person at a terminal
// wants: a Screen, or Rows where the terminal cannot do it.
//
// A Screen looks at the agent some times a second; the agent never waits for it. All
// text that strangers have a hand in is made harmless before it is laid out.
package console
