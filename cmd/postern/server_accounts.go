package main

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/quota"
)

const accountsHelp = `The accounts of this server, for an operator on its machine: without the network, while
the server runs (through a socket in its data directory) and while it does not.
Give it the same --config as the server.`

// serverAccountsCommand is about the accounts of an installation.
func serverAccountsCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "accounts",
		Short: "List and make accounts, limit them, and see what they use",
		Long:  accountsHelp,
		Example: `  postern server accounts list --config /etc/postern/server.yml
  postern server accounts create 'Customer 1' --email ada@customer1.example
  postern server accounts limits ac_2abcdefghijklmnopqrstuvwxyz --endpoints 10 --bytes-per-second 1048576
  postern server accounts usage`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(accountsListCommand(streams), accountsCreateCommand(streams), accountsLimitsCommand(streams), accountsUsageCommand(streams))
	return command
}

func accountsListCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "list",
		Short: "List all accounts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printAccounts, func(c server.Config, logger *slog.Logger) ([]server.Account, error) {
				return server.ListAccounts(cmd.Context(), c, logger)
			})
		},
	}
	format.register(command)
	return command
}

func accountsCreateCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var made server.NewAccount
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Make another account, with its first owner",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made.Name = args[0]
			return onServer(cmd, streams, format, printAccount, func(c server.Config, logger *slog.Logger) (server.Account, error) {
				return server.CreateAccount(cmd.Context(), c, logger, made)
			})
		},
	}
	format.register(command)
	command.Flags().StringVar(&made.OwnerName, "owner", "owner", "the `NAME` of the owner")
	command.Flags().StringVar(&made.Email, "email", "", "the `ADDRESS` with which the owner signs in")
	return command
}

// serversOwn is what a flag of a limit says to have the server's own again.
const serversOwn = "default"

func accountsLimitsCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	texts := make([]string, 5)
	names := [...][2]string{
		{"sessions", "agents connected"}, {"endpoints", "endpoints online"}, {"connections", "visitors' connections and requests under way"},
		{"requests-per-minute", "HTTP requests a minute"}, {"bytes-per-second", "bytes a second, both directions together"},
	}
	command := &cobra.Command{
		Use:   "limits ID",
		Short: "Show the limits that an account or credential has of its own, or change those that flags name",
		Long: `Show or change the limits that an account (ac_…) or credential (cr_…) has of its own. A
number is a limit, 0 is none, and "default" is what the server's configuration says for all.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onServer(cmd, streams, format, printLimits, func(c server.Config, logger *slog.Logger) (server.SubjectLimits, error) {
				limits, err := server.GetLimits(cmd.Context(), c, logger, args[0])
				changed := false
				fields := []**int64{&limits.Sessions, &limits.Endpoints, &limits.Connections, &limits.RequestsPerMinute, &limits.BytesPerSecond}
				for i, name := range names {
					if err != nil || !cmd.Flags().Changed(name[0]) {
						continue
					}
					changed = true
					*fields[i], err = parseLimit(name[0], texts[i])
				}
				if err != nil || !changed {
					return limits, err
				}
				return server.SetLimits(cmd.Context(), c, logger, limits)
			})
		},
	}
	format.register(command)
	for i, name := range names {
		command.Flags().StringVar(&texts[i], name[0], "", "`NUMBER` of "+name[1]+"; 0 is no limit")
	}
	return command
}

func parseLimit(name, text string) (*int64, error) {
	if text == serversOwn {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--%s %q is neither a number, 0 for no limit, nor %q", name, text, serversOwn)
	}
	return &n, nil
}

func accountsUsageCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "usage",
		Short: "Show what accounts and credentials use, since the running server began",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printUsage, func(c server.Config, logger *slog.Logger) ([]quota.Usage, error) {
				return server.ReadUsage(cmd.Context(), c, logger)
			})
		},
	}
	format.register(command)
	return command
}

func printAccounts(w io.Writer, accounts []server.Account) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ACCOUNT\tMADE\tNAME")
	for _, a := range accounts {
		fmt.Fprintf(table, "%s\t%s\t%s\n", a.ID, a.CreatedAt.Format(time.RFC3339), shownText(a.Name))
	}
	return table.Flush()
}

func printAccount(w io.Writer, a server.Account) error {
	text := fmt.Sprintf("Account:    %s\nName:       %s\nMade:       %s\n", a.ID, shownText(a.Name), a.CreatedAt.Format(time.RFC3339))
	if a.Owner != nil {
		text += "\n" + personText(*a.Owner)
	}
	_, err := io.WriteString(w, text)
	return err
}

func printLimits(w io.Writer, l server.SubjectLimits) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Of:                   %s\n", l.ID)
	for _, line := range []struct {
		name  string
		limit *int64
	}{{"Agents", l.Sessions}, {"Endpoints", l.Endpoints}, {"Connections", l.Connections}, {"Requests per minute", l.RequestsPerMinute}, {"Bytes per second", l.BytesPerSecond}} {
		shown := serversOwn
		if line.limit != nil {
			shown = limitText(*line.limit)
		}
		fmt.Fprintf(&text, "%-21s %s\n", line.name+":", shown)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func limitText(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return strconv.FormatInt(n, 10)
}

func printUsage(w io.Writer, all []quota.Usage) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OF\tAGENTS\tENDPOINTS\tUNDER WAY\tREQUESTS\tCONNECTIONS\tBYTES IN\tBYTES OUT\tREFUSED")
	for _, u := range all {
		name := string(u.Account)
		if u.Credential != "" {
			name = "  " + string(u.Credential)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", name, u.Sessions, u.Endpoints, u.Connections,
			u.Total.Requests, u.Total.Connections, u.Total.BytesIn, u.Total.BytesOut, u.Total.Refused)
	}
	return table.Flush()
}
