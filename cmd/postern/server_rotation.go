package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

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

const rotateCAHelp = `Have a new root of the local CA take over from today's after --overlap.

Until then agents and visitors are given both: the CA file has both certificates, and what
the server presents verifies with either one. Bring the file to all who trust the CA
meanwhile. After the overlap the new root alone signs, and who trusts the old one alone no
longer reaches the server.

Run again with --overlap 0 it takes over now. "keys status" shows both roots.`

// keysRotateCACommand replaces the root of the local CA.
func keysRotateCACommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var overlap time.Duration
	command := &cobra.Command{
		Use:   "rotate-ca",
		Short: "Replace the root of the local CA, with an overlap",
		Long:  rotateCAHelp,
		Example: `  postern server keys rotate-ca --config /etc/postern/server.yml
  postern server keys rotate-ca --overlap 2160h
  postern server keys rotate-ca --overlap 0   # its key was stolen`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printCA, func(c server.Config, logger *slog.Logger) (server.CAStatus, error) {
				return server.RotateCA(cmd.Context(), c, logger, overlap)
			})
		},
	}
	format.register(command)
	command.Flags().DurationVar(&overlap, "overlap", server.DefaultCAOverlap, "for how `LONG` both roots are good")
	return command
}

// keysStatusCommand shows the keys of the installation itself.
func keysStatusCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "status",
		Short: "Show the sealing keys and the roots of the local CA",
		Long:  "Show which sealing keys there are, by their ids, and the roots of the local CA with their dates; of rotations that are under way, both.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printKeyStatus, func(c server.Config, logger *slog.Logger) (server.KeyStatus, error) {
				return server.StatusOfKeys(cmd.Context(), c, logger)
			})
		},
	}
	format.register(command)
	return command
}

func printCA(w io.Writer, ca server.CAStatus) error {
	var text strings.Builder
	writeCA(&text, ca)
	_, err := io.WriteString(w, text.String())
	return err
}

func printKeyStatus(w io.Writer, status server.KeyStatus) error {
	var text strings.Builder
	for _, id := range status.Sealing.Keys {
		state := "unused"
		if i := slices.Index(status.Sealing.Used, id); i == 0 {
			state = "seals"
		} else if i > 0 {
			state = "opens; finish the rotation with rotate-sealing"
		}
		fmt.Fprintf(&text, "Sealing:    %s (%s)\n", id, state)
	}
	if status.CA != nil {
		writeCA(&text, *status.CA)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func writeCA(text *strings.Builder, ca server.CAStatus) {
	fmt.Fprintf(text, "CA file:    %s\n", ca.File)
	for _, root := range ca.Roots {
		state := "signs"
		if !root.Signs {
			state = "takes over on " + ca.SwitchAt.Format(time.RFC3339)
		}
		fmt.Fprintf(text, "Root:       %s (%s)\n            pin %s\n            from %s to %s\n", root.Subject, state, root.Fingerprint,
			root.NotBefore.Format(time.DateOnly), root.NotAfter.Format(time.DateOnly))
	}
	if len(ca.Roots) > 1 {
		text.WriteString("\nBring the CA file to all who trust the first root before the second takes over.\n")
	}
}
