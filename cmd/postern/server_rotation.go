package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/server"
)

const rotateSealingHelp = `Have a new key seal the secrets in the database (private keys, vault secrets), seal anew
all that is there, and forget the older key once nothing is sealed with it.

The server may run; it notices nothing. A rotation that was cut short, also by a power
failure, loses nothing: run it again, and it is finished.

Where sealing.key or sealing.key_file give the keys, put the new one before the old one
first and restart the server; afterwards take the old one out.

Backups that were made before need the key that they have in them: make a new one.`

// keysRotateSealingCommand replaces the key that seals secrets in the database.
func keysRotateSealingCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "rotate-sealing",
		Short: "Replace the key that seals the secrets in the database",
		Long:  rotateSealingHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printSealingRotation, func(c server.Config, logger *slog.Logger) (server.SealingRotation, error) {
				return server.RotateSealing(cmd.Context(), c, logger)
			})
		},
	}
	format.register(command)
	return command
}

func printSealingRotation(w io.Writer, done server.SealingRotation) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Key:        %s\nResealed:   %d rows\n", done.Key, done.Resealed)
	for _, id := range done.Retired {
		fmt.Fprintf(&text, "Retired:    %s\n", id)
	}
	for _, id := range done.Removable {
		fmt.Fprintf(&text, "Unused:     %s, which the configuration still has: take it out\n", id)
	}
	if done.Continued {
		text.WriteString("\nNo new key was made: this finished what had been begun.\n")
	}
	text.WriteString("\nMake a new backup: older ones have the older key.\n")
	_, err := io.WriteString(w, text.String())
	return err
}
