package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server"
)

const bootstrapHelp = `Make the first account, user, API key and authtoken of an installation, and print
them. The keys are shown this once and kept nowhere. Asked again it says who exists
and prints no key.

It works while the server runs (through a socket in its data directory) and while
it does not. Give it the same --config as the server.`

// serverBootstrapCommand makes the first keys.
func serverBootstrapCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "bootstrap",
		Short: "Make the first account and its keys",
		Long:  bootstrapHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := reportConfig(cmd, streams, format)
			if err != nil {
				return err
			}
			logger := slog.New(obs.NewHandler(streams.Err, config.Log.Format, slog.LevelWarn))
			keys, err := server.Bootstrap(cmd.Context(), config, logger)
			if err != nil {
				return err
			}
			return report(format, streams.Out, keys, printKeys)
		},
	}
	format.register(command)
	return command
}

// printKeys is for people: what there is, then what to do with it.
func printKeys(w io.Writer, keys server.Keys) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Account:    %s\nUser:       %s\n", keys.AccountID, keys.UserID)
	if keys.Authtoken != "" {
		fmt.Fprintf(&text, "API key:    %s\nAuthtoken:  %s\n", keys.APIKey, keys.Authtoken)
	}
	if keys.CAFile != "" {
		fmt.Fprintf(&text, "CA file:    %s\nCA pin:     %s\n", keys.CAFile, keys.CAPin)
	}
	if keys.ChallengeRecord != "" {
		fmt.Fprintf(&text, "DNS record: %s   (proves the server's own wildcard certificate)\n", keys.ChallengeRecord)
	}
	if keys.Authtoken == "" {
		text.WriteString("\nThe account exists already; its keys were shown when it was made and are kept nowhere.\n")
	} else {
		text.WriteString("\nThe API key and the authtoken are not shown again.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
