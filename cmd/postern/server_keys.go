package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

const keysHelp = `Authtokens and API keys, for an operator on the server's machine: without the network,
while the server runs (through a socket in its data directory) and while it does not.
Give it the same --config as the server.

Tokens are printed once, when they are made, and kept nowhere.`

// serverKeysCommand is about the keys of an installation.
func serverKeysCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "keys",
		Short: "List, make, revoke and rotate keys on the server's machine",
		Long:  keysHelp,
		Example: `  postern server keys list --config /etc/postern/server.yml
  postern server keys create authtoken --description laptop --acl 'bind:*.example.com'
  postern server keys rotate cr_2abcdefghijklmnopqrstuvwxyz --overlap 24h
  postern server keys revoke ak_2abcdefghijklmnopqrstuvwxyz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(keysListCommand(streams), keysCreateCommand(streams), keysRevokeCommand(streams),
		keysRotateCommand(streams), keysRetireCommand(streams), keysRotateSealingCommand(streams), keysRotateCACommand(streams), keysStatusCommand(streams))
	return command
}

// onServer runs something on the server's machine, with its configuration, and reports
// what came of it.
func onServer[T any](cmd *cobra.Command, streams ioStreams, format reportFormat, text func(io.Writer, T) error, do func(server.Config, *slog.Logger) (T, error)) error {
	config, err := reportConfig(cmd, streams, format)
	if err != nil {
		return err
	}
	found, err := do(config, slog.New(obs.NewHandler(streams.Err, config.Log.Format, slog.LevelWarn)))
	if err != nil {
		return err
	}
	return report(format, streams.Out, found, text)
}

func keysListCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "list",
		Short: "List all keys that are good, without their tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printKeyList, func(c server.Config, logger *slog.Logger) ([]server.Key, error) {
				return server.ListKeys(cmd.Context(), c, logger)
			})
		},
	}
	format.register(command)
	return command
}

func keysCreateCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var made server.NewKey
	var owner string
	command := &cobra.Command{
		Use:   "create authtoken|api-key",
		Short: "Make a key and print it, this once",
		Long: `Make an authtoken, with which agents connect, or an API key, for the REST API, and print
it, this once. It is the owner's, a user's id, or else the user's that bootstrap made.

An authtoken with --acl may only bind what one of the rules allows.`,
		Example: `  postern server keys create authtoken --acl 'bind:*.customer1.example.com' --description 'customer 1'
  postern server keys create api-key --owner usr_2abcdefghijklmnopqrstuvwxyz --format json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds := map[string]server.KeyKind{"authtoken": server.AuthtokenKey, "api-key": server.APIKey, "api_key": server.APIKey}
			kind, known := kinds[args[0]]
			if !known {
				return postern.Errorf(postern.CodeFlagInvalid, "%q is not authtoken or api-key", args[0])
			}
			made.Kind, made.Owner = kind, postern.UserID(owner)
			return onServer(cmd, streams, format, printKey, func(c server.Config, logger *slog.Logger) (server.Key, error) {
				return server.CreateKey(cmd.Context(), c, logger, made)
			})
		},
	}
	format.register(command)
	command.Flags().StringVar(&owner, "owner", "", "the `ID` of the user whose key it is")
	command.Flags().StringVar(&made.Description, "description", "", "what the key is for, for people")
	command.Flags().StringVar(&made.Metadata, "metadata", "", "anything, for programs")
	command.Flags().StringArrayVar(&made.ACL, "acl", nil, "a `RULE` of an authtoken, such as bind:*.example.com; repeat it for several")
	return command
}

func keysRevokeCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a key for good; agents that use it are disconnected",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onServer(cmd, streams, format, printRevoked, func(c server.Config, logger *slog.Logger) (server.Key, error) {
				return server.RevokeKey(cmd.Context(), c, logger, args[0])
			})
		},
	}
	format.register(command)
	return command
}

func keysRotateCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var overlap time.Duration
	command := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a key a new token; the one before it stays good for a while",
		Long: `Give an authtoken or API key a new token and print it, this once. The one before it stays
good for --overlap, so that what uses it can be changed without an interruption; with 0 it
ends now. Agents that are connected stay so. "keys retire" ends the overlap early.

A token that an earlier rotation left is no good from now on: there are two at most.`,
		Example: `  postern server keys rotate cr_2abcdefghijklmnopqrstuvwxyz --overlap 72h
  postern server keys rotate cr_2abcdefghijklmnopqrstuvwxyz --overlap 0   # somebody has read it`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onServer(cmd, streams, format, printKey, func(c server.Config, logger *slog.Logger) (server.Key, error) {
				return server.RotateKey(cmd.Context(), c, logger, args[0], overlap)
			})
		},
	}
	format.register(command)
	command.Flags().DurationVar(&overlap, "overlap", service.DefaultOverlap, "for how `LONG` the token before it stays good, up to 2160h")
	return command
}

func keysRetireCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "retire ID",
		Short: "End the token before a rotation now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onServer(cmd, streams, format, printKey, func(c server.Config, logger *slog.Logger) (server.Key, error) {
				return server.RetireKey(cmd.Context(), c, logger, args[0])
			})
		},
	}
	format.register(command)
	return command
}

// printKey is for people: the token, if there is one to show, and what it belongs to.
func printKey(w io.Writer, key server.Key) error {
	var text strings.Builder
	writeKey(&text, key)
	if key.Token != "" {
		fmt.Fprintf(&text, "\n%s\n\nThe token is not shown again.\n", key.Token)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func printRevoked(w io.Writer, key server.Key) error {
	var text strings.Builder
	writeKey(&text, key)
	text.WriteString("\nIt is revoked.\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func writeKey(text *strings.Builder, key server.Key) {
	fmt.Fprintf(text, "Key:        %s\nKind:       %s\nAccount:    %s\nOwner:      %s\n", key.ID, key.Kind, key.AccountID, key.OwnerID)
	if key.Description != "" {
		fmt.Fprintf(text, "For:        %s\n", shownText(key.Description))
	}
	for _, rule := range key.ACL {
		fmt.Fprintf(text, "ACL:        %s\n", rule)
	}
	fmt.Fprintf(text, "Made:       %s\n", key.CreatedAt.Format(time.RFC3339))
	if !key.RotatedAt.IsZero() {
		fmt.Fprintf(text, "Rotated:    %s\n", key.RotatedAt.Format(time.RFC3339))
	}
	if !key.PreviousUntil.IsZero() {
		fmt.Fprintf(text, "Previous:   good until %s\n", key.PreviousUntil.Format(time.RFC3339))
	}
}

func printKeyList(w io.Writer, keys []server.Key) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tKIND\tOWNER\tMADE\tPREVIOUS UNTIL\tFOR")
	for _, key := range keys {
		until := "-"
		if !key.PreviousUntil.IsZero() {
			until = key.PreviousUntil.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Kind, key.OwnerID, key.CreatedAt.Format(time.RFC3339), until, shownText(key.Description))
	}
	return table.Flush()
}

// shownText is a text that somebody else has chosen: a terminal is sent no control
// characters.
func shownText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}
