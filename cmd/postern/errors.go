package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/internal/nearest"
)

// printError writes a failure the way people and scripts know it from ngrok:
// every line behind "ERROR:  ", what happened first, then the next step, then the
// code and where it is explained.
func printError(w io.Writer, err error) {
	coded := asCommandError(err)
	entry := coded.Code.Entry()
	lines := strings.Split(strings.TrimRight(coded.Text(), "\r\n"), "\n")
	if coded.Cause != nil && !strings.Contains(coded.Text(), coded.Cause.Error()) {
		lines = append(lines, "Cause: "+coded.Cause.Error())
	}
	lines = append(lines, "", entry.Fix, "", string(coded.Code), docsPage(coded.Code))
	var text strings.Builder
	for _, line := range lines {
		// A server, a proxy or a file may have had a hand in the words.
		text.WriteString(strings.TrimRight("ERROR:  "+console.Harmless(line), " ") + "\n")
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

// flagError makes a coded error of what the flag parser refuses, with the flag that
// was meant: one of the command's, or the command that has it.
func flagError(command *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || missing.GetSpecifiedShortnames() != "" {
		return postern.Errorf(postern.CodeFlagInvalid, "%s", err.Error())
	}
	name := missing.GetSpecifiedName()
	text := "unknown flag: --" + name
	var owners, known []string
	command.Flags().VisitAll(func(flag *pflag.Flag) { known = append(known, flag.Name) })
	for _, other := range command.Root().Commands() {
		if other.Flags().Lookup(name) != nil {
			owners = append(owners, other.Name())
		}
	}
	switch near := nearest.Of(name, known); {
	case len(owners) > 0:
		text += fmt.Sprintf("\n%q has no such flag; %s has", command.CommandPath(), strings.Join(owners, ", "))
	case near != "" && near[:1] == name[:1]: // anything else is far-fetched
		text += "\nDid you mean --" + near + "?"
	}
	return postern.Errorf(postern.CodeFlagInvalid, "%s", text)
}

// subcommandOnly refuses arguments of a command that has commands below it.
func subcommandOnly(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], command.CommandPath())
	var known []string
	for _, child := range command.Commands() {
		if child.IsAvailableCommand() {
			known = append(known, child.Name())
		}
	}
	near := nearest.Of(args[0], known)
	switch {
	case command.HasParent():
	case near == "" && strings.ContainsAny(args[0], ".:/"), args[0] == "localhost":
		text += fmt.Sprintf("\nFor a service there: %s http %s", command.CommandPath(), args[0])
		near = ""
	}
	if near != "" {
		text += "\nDid you mean " + near + "?"
	}
	return postern.Errorf(postern.CodeFlagInvalid, "%s", text)
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
