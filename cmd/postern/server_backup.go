package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/archive"
)

const backupHelp = `Save all of the data directory that cannot be made again into one archive: the
database, the keys, the local CA. The server may run meanwhile and does not notice.

FILE is replaced at once when the archive is whole, and only its owner can read it;
with "-" the archive goes to standard output, and the report to standard error. Keep
it as safe as the server itself: who has it can pretend to be the server. The
configuration, and certificate files that it names, are not in it, nor is what
PostgreSQL keeps: the report has the pg_dump command for that.`

const restoreHelp = `Make a data directory from an archive of "postern server backup". The directory must
be empty or absent. Everything is checked first; after an error nothing has changed.
Give it the configuration that the server had, and run it as the server's user.

With "-" the archive comes from standard input.`

// serverBackupCommand saves a data directory.
func serverBackupCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Save what a server keeps into an archive",
		Long:  backupHelp,
		Example: `  postern server backup --config /etc/postern/server.yml /mnt/backups/postern.tar.gz
  postern server backup --config /etc/postern/server.yml - | ssh elsewhere 'umask 077; cat > postern.tar.gz'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := reportConfig(cmd, streams, format)
			if err != nil {
				return err
			}
			out := streams.Out
			if args[0] == "-" {
				if isTerminal(streams.Out) {
					return postern.Errorf(postern.CodeFlagInvalid, "\"-\" would write a compressed archive with the server's keys to this terminal; give a FILE, or pipe it somewhere")
				}
				out = streams.Err
			}
			saved, err := server.Backup(cmd.Context(), config, version(), args[0], streams.Out)
			if err != nil {
				return err
			}
			return report(format, out, saved, printBackedUp)
		},
	}
	format.register(command)
	return command
}

// serverRestoreCommand makes a data directory from an archive.
func serverRestoreCommand(streams ioStreams) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Make a data directory from an archive",
		Long:  restoreHelp,
		Example: `  postern server restore --config /etc/postern/server.yml /mnt/backups/postern.tar.gz
  postern server restore --data-dir /var/lib/postern - < postern.tar.gz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := reportConfig(cmd, streams, format)
			if err != nil {
				return err
			}
			restored, err := server.Restore(cmd.Context(), config, args[0], streams.In)
			if err != nil {
				return err
			}
			return report(format, streams.Out, restored, printRestored)
		},
	}
	format.register(command)
	return command
}

// reportConfig reads the configuration, once the report's format is one.
func reportConfig(cmd *cobra.Command, streams ioStreams, format reportFormat) (server.Config, error) {
	if err := format.check(); err != nil {
		return server.Config{}, err
	}
	return loadServer(cmd, streams)()
}

func printBackedUp(w io.Writer, report server.BackedUp) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Backup:     %s (%d bytes)\nOf:         %s\n", report.Archive, report.Bytes, report.DataDir)
	writeManifest(&text, report.Manifest)
	for _, name := range report.LeftOut {
		fmt.Fprintf(&text, "Left out:   %s\n", name)
	}
	for _, key := range report.Elsewhere {
		fmt.Fprintf(&text, "Elsewhere:  the keys of %s, without which the secrets in the archive are lost\n", key)
	}
	if report.Dump != "" {
		fmt.Fprintf(&text, "\nThe rows are in PostgreSQL and not in the archive. Save them, too:\n\n  %s\n", report.Dump)
	}
	text.WriteString("\nKeep it as safe as the server itself, and the configuration beside it.\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func printRestored(w io.Writer, report server.Restored) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Restored:   %s\nFrom:       %s\n", report.DataDir, report.Archive)
	writeManifest(&text, report.Manifest)
	if report.Load != "" {
		fmt.Fprintf(&text, "\nThe rows were in PostgreSQL. If they are lost, make an empty database and load them:\n\n  %s\n", report.Load)
	}
	text.WriteString("\nStart the server with the configuration it had; agents come back by themselves.\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func writeManifest(text *strings.Builder, m archive.Manifest) {
	fmt.Fprintf(text, "Made:       %s, by Postern %q\n", m.MadeAt.Format(time.RFC3339), m.MadeBy)
	if m.Database.Schema > 0 {
		fmt.Fprintf(text, "Database:   %s, version %d\n", m.Database.Engine, m.Database.Schema)
	} else {
		fmt.Fprintf(text, "Database:   %s\n", m.Database.Engine)
	}
	for _, file := range m.Files {
		fmt.Fprintf(text, "File:       %s (%d bytes)\n", file.Name, file.Size)
	}
}
