package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
)

// reportFormat is the flag --format of a command that reports: text for people, or json.
type reportFormat string

func (f *reportFormat) register(command *cobra.Command) {
	command.Flags().StringVar((*string)(f), "format", "text", "`FORMAT` of the report: text or json")
}

func (f reportFormat) check() error {
	if f != "json" && f != "text" {
		return postern.Errorf(postern.CodeFlagInvalid, "--format %q is not json or text", string(f))
	}
	return nil
}

// report writes what a command has found out; text is how people read it.
func report[T any](f reportFormat, w io.Writer, found T, text func(io.Writer, T) error) error {
	if f == "json" {
		return json.NewEncoder(w).Encode(found)
	}
	return text(w, found)
}
