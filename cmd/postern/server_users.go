package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

const usersHelp = `The people of the accounts, for an operator on the server's machine: without the network,
while the server runs (through a socket in its data directory) and while it does not.
Give it the same --config as the server.

Roles are owner, admin, developer and read_only. An account keeps at least one owner.`

// serverUsersCommand is about the people of an installation.
func serverUsersCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "users",
		Short: "List, make, invite and remove people on the server's machine",
		Long:  usersHelp,
		Example: `  postern server users list --config /etc/postern/server.yml
  postern server users invite ada@example.com --role admin
  postern server users set-password usr_2abcdefghijklmnopqrstuvwxyz
  postern server users deactivate usr_2abcdefghijklmnopqrstuvwxyz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	yes, no := true, false
	command.AddCommand(usersListCommand(streams), usersCreateCommand(streams), usersInviteCommand(streams), usersSetCommand(streams),
		userChangeCommand(streams, "set-role ID ROLE", "Give a person another role", 2, func(args []string) server.PersonChange {
			role := postern.Role(args[1])
			return server.PersonChange{Role: &role}
		}),
		userChangeCommand(streams, "deactivate ID", "Keep a person out, with all keys and authtokens", 1,
			func([]string) server.PersonChange { return server.PersonChange{Active: &no} }),
		userChangeCommand(streams, "activate ID", "Let a person in again", 1,
			func([]string) server.PersonChange { return server.PersonChange{Active: &yes} }),
		usersPasswordCommand(streams), usersDeleteCommand(streams))
	return command
}

func usersListCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var account postern.AccountID
	command := &cobra.Command{
		Use:   "list",
		Short: "List the people of one account, or of all",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onServer(cmd, streams, format, printPeople, func(c server.Config, logger *slog.Logger) ([]server.Person, error) {
				return server.ListPeople(cmd.Context(), c, logger, account)
			})
		},
	}
	format.register(command)
	registerAccount(command, &account, "whose people; all without it")
	return command
}

func registerAccount(command *cobra.Command, account *postern.AccountID, about string) {
	command.Flags().StringVar((*string)(account), "account", "", "the `ID` of the account "+about)
}

func registerRole(command *cobra.Command, role *postern.Role, about string) {
	command.Flags().StringVar((*string)(role), "role", string(postern.Developer), about+": owner, admin, developer or read_only")
}

func usersCreateCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var made server.NewPerson
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a person, who has no password yet",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made.Name = args[0]
			return onServer(cmd, streams, format, printPerson, func(c server.Config, logger *slog.Logger) (server.Person, error) {
				return server.CreatePerson(cmd.Context(), c, logger, made)
			})
		},
	}
	format.register(command)
	registerAccount(command, &made.Account, "; without it that of bootstrap")
	command.Flags().StringVar(&made.Email, "email", "", "the `ADDRESS` to sign in with")
	registerRole(command, &made.Role, "what the person may do")
	return command
}

func usersInviteCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var made server.NewInvitation
	command := &cobra.Command{
		Use:   "invite ADDRESS",
		Short: "Make an invitation and print its token, this once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made.Email = args[0]
			return onServer(cmd, streams, format, printInvitation, func(c server.Config, logger *slog.Logger) (server.Invitation, error) {
				return server.Invite(cmd.Context(), c, logger, made)
			})
		},
	}
	format.register(command)
	registerAccount(command, &made.Account, "; without it that of bootstrap")
	registerRole(command, &made.Role, "what the person will be")
	command.Flags().DurationVar(&made.Valid, "valid", service.DefaultInvitation, "for how `LONG` it can be accepted")
	return command
}

func usersSetCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	var name, email string
	command := &cobra.Command{
		Use:   "set ID",
		Short: "Give a person another name or address",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change := server.PersonChange{ID: postern.UserID(args[0])}
			if cmd.Flags().Changed("name") {
				change.Name = &name
			}
			if cmd.Flags().Changed("email") {
				change.Email = &email
			}
			return changePerson(cmd, streams, format, change)
		},
	}
	format.register(command)
	command.Flags().StringVar(&name, "name", "", "the `NAME`")
	command.Flags().StringVar(&email, "email", "", "the `ADDRESS` to sign in with; empty for none")
	return command
}

// userChangeCommand is a command that changes one thing of a person.
func userChangeCommand(streams ioStreams, use, short string, args int, change func(args []string) server.PersonChange) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted := change(args)
			wanted.ID = postern.UserID(args[0])
			return changePerson(cmd, streams, format, wanted)
		},
	}
	format.register(command)
	return command
}

func changePerson(cmd *cobra.Command, streams ioStreams, format reportFormat, change server.PersonChange) error {
	return onServer(cmd, streams, format, printPerson, func(c server.Config, logger *slog.Logger) (server.Person, error) {
		return server.ChangePerson(cmd.Context(), c, logger, change)
	})
}

func usersPasswordCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "set-password ID",
		Short: "Give a person a password, which is read from the terminal or standard input",
		Long: `Give a person a password. It is asked for on a terminal, and otherwise the first line of
standard input: never an argument, which other users of the machine could read.`,
		Example: `  postern server users set-password usr_2abcdefghijklmnopqrstuvwxyz < password.txt`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(streams)
			if err != nil {
				return err
			}
			return onServer(cmd, streams, format, printPerson, func(c server.Config, logger *slog.Logger) (server.Person, error) {
				return server.SetPassword(cmd.Context(), c, logger, postern.UserID(args[0]), password)
			})
		},
	}
	format.register(command)
	return command
}

// longestLine bounds what is read for a password.
const longestLine = 4 << 10

// readPassword asks for a password twice, or reads a line where nobody can be asked.
func readPassword(streams ioStreams) (postern.Secret, error) {
	if file, ok := streams.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return askPassword(streams.Err, func() ([]byte, error) { return term.ReadPassword(int(file.Fd())) })
	}
	line, err := bufio.NewReader(io.LimitReader(streams.In, longestLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the password cannot be read from standard input").Because(err)
	}
	return postern.Secret(strings.TrimRight(line, "\r\n")), nil
}

func askPassword(w io.Writer, read func() ([]byte, error)) (postern.Secret, error) {
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(w, prompt)
		text, err := read()
		fmt.Fprintln(w)
		if err != nil {
			return "", postern.Errorf(postern.CodeFileUnreadable, "the password cannot be read from the terminal").Because(err)
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", postern.Errorf(postern.CodeFieldInvalid, "the two passwords differ")
	}
	return postern.Secret(typed[0]), nil
}

func usersDeleteCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "delete ID",
		Short: "Remove a person for good, with all keys and authtokens; agents that use those are disconnected",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onServer(cmd, streams, format, printRemovedPerson, func(c server.Config, logger *slog.Logger) (server.Person, error) {
				return server.RemovePerson(cmd.Context(), c, logger, postern.UserID(args[0]))
			})
		},
	}
	format.register(command)
	return command
}

func printPerson(w io.Writer, p server.Person) error {
	_, err := io.WriteString(w, personText(p))
	return err
}

func printRemovedPerson(w io.Writer, p server.Person) error {
	_, err := io.WriteString(w, personText(p)+"\nThe person is removed.\n")
	return err
}

func personText(p server.Person) string {
	var text strings.Builder
	fmt.Fprintf(&text, "User:       %s\nAccount:    %s\nName:       %s\n", p.ID, p.AccountID, shownText(p.Name))
	if p.Email != "" {
		fmt.Fprintf(&text, "Address:    %s\n", shownText(p.Email))
	}
	fmt.Fprintf(&text, "Role:       %s\nActive:     %s\nPassword:   %s\nMade:       %s\n", p.Role, yesNo(p.Active), yesNo(p.HasPassword),
		p.CreatedAt.Format(time.RFC3339))
	return text.String()
}

func printInvitation(w io.Writer, i server.Invitation) error {
	_, err := fmt.Fprintf(w, "Invitation: %s\nAccount:    %s\nAddress:    %s\nRole:       %s\nGood until: %s\n\n%s\n\nThe token is not shown again.\n",
		i.ID, i.AccountID, shownText(i.Email), i.Role, i.ExpiresAt.Format(time.RFC3339), i.Token)
	return err
}

func printPeople(w io.Writer, people []server.Person) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tACCOUNT\tROLE\tACTIVE\tPASSWORD\tADDRESS\tNAME")
	for _, p := range people {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.AccountID, p.Role, yesNo(p.Active), yesNo(p.HasPassword),
			dash(shownText(p.Email)), shownText(p.Name))
	}
	return table.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
