package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-dev/postern"
)

// setupConsole asks on a terminal, or reads answers, one a line, from standard input.
type setupConsole struct {
	in  *bufio.Reader
	out io.Writer
}

func newSetupConsole(streams ioStreams) *setupConsole {
	return &setupConsole{in: bufio.NewReader(streams.In), out: streams.Out}
}

// Tell implements setup.Console. Nobody can be told that nobody can be told.
func (c *setupConsole) Tell(format string, values ...any) { fmt.Fprintf(c.out, format, values...) }

// Ask implements setup.Console.
func (c *setupConsole) Ask(question, otherwise string) (string, error) {
	if otherwise != "" {
		question += " [" + otherwise + "]"
	}
	c.Tell("%s: ", question)
	line, err := c.in.ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case err != nil && (line == "" || !errors.Is(err, io.EOF)):
		c.Tell("\n")
		return "", postern.Errorf(postern.CodeSetupDeclined, "the question %q was not answered; give the answers as flags, with --yes (see --help)", question)
	case line == "":
		return otherwise, nil
	}
	return line, nil
}

// Confirm implements setup.Console.
func (c *setupConsole) Confirm(question string, otherwise bool) (bool, error) {
	choices := "y/N"
	if otherwise {
		choices = "Y/n"
	}
	for {
		line, err := c.Ask(question+" "+choices, "")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(line) {
		case "":
			return otherwise, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		c.Tell("Please say yes or no.\n")
	}
}
