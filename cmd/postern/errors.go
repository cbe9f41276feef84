package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/postern-dev/postern"
)

// printError writes a failure the way people and scripts know it from ngrok:
// every line behind "ERROR:  ", what happened first, then the next step, then the
// code and where it is explained.
func printError(w io.Writer, err error) {
	coded := asCommandError(err)
	entry := coded.Code.Entry()
	lines := strings.Split(strings.TrimRight(coded.Text(), "\r\n"), "\n")
	if coded.Cause != nil {
		lines = append(lines, "Cause: "+coded.Cause.Error())
	}
	lines = append(lines, "", entry.Fix, "", string(coded.Code), docsPage(coded.Code))
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimRight("ERROR:  "+line, " ") + "\n")
	}
	// The process is about to end with a status that says the same: nothing is left
	// to be done about a closed stderr.
	_, _ = io.WriteString(w, text.String())
}

// asCommandError gives errors of the flag parser, which have no code, theirs.
func asCommandError(err error) *postern.Error {
	coded := postern.AsError(err)
	if coded.Code == postern.CodeInternal && coded.Cause == err && isUsageError(err) {
		return postern.Errorf(postern.CodeFlagInvalid, "%s", err.Error())
	}
	return coded
}

// isUsageError recognises what cobra and pflag return: they have no error types
// for most of it, and every error of our own commands is coded.
func isUsageError(err error) bool {
	text := err.Error()
	for _, start := range []string{
		"unknown command", "unknown flag", "unknown shorthand flag", "flag needs an argument",
		"invalid argument", "accepts ", "requires at least", "required flag", "bad flag syntax", "if any flags in the group",
	} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// docsPage points into the generated list of codes.
func docsPage(code postern.Code) string {
	return fmt.Sprintf("https://github.com/postern-dev/postern/blob/main/docs/errors.md#%s", strings.ToLower(string(code)))
}
