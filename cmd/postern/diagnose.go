package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/diagnose"
)

// diagnoseCommand has, beside our own, the flags of ngrok's command of the same name.
type diagnoseCommand struct {
	streams ioStreams
	connection
	format string
	report string
	ipv6   bool
}

func newDiagnoseCommand(streams ioStreams) *cobra.Command {
	c := &diagnoseCommand{streams: streams}
	command := &cobra.Command{
		Use:   "diagnose",
		Short: "Find out how an agent gets to its server, or where it stops",
		Long: `Find out how an agent gets to its server, or where it stops: every way that it could
take is gone step by step and explained. The status is 0 where an agent would get
through and its authtoken, if there is one, is accepted; else 1. "postern connect
diagnose" does the same for a connector and its gateway.`,
		Example: `  postern diagnose --connect-url connect.example.com
  postern diagnose --config postern.yml --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := command.Flags()
	c.connection.register(flags)
	flags.StringVar(&c.format, "format", "text", "text or json")
	flags.StringVarP(&c.report, "write-report", "w", "", "also write the report, as JSON, to this `file`")
	flags.BoolVarP(&c.ipv6, "ipv6", "6", false, "try IPv6 only")
	flags.StringVarP(&c.region, "region", "r", "", "has no effect: a server is one region")
	hide(flags, "region")
	return command
}

func (c *diagnoseCommand) run(ctx context.Context) error {
	if c.format != "text" && c.format != "json" {
		return postern.Errorf(postern.CodeFlagInvalid, "the format %q is not text or json", c.format)
	}
	file, err := c.resolve(c.streams)
	if err != nil {
		return err
	}
	settings, err := c.agent(file, c.streams)
	if err != nil {
		return err
	}
	dialer, err := agent.NewDialer(settings)
	if err != nil {
		return err
	}
	if c.ipv6 {
		dialer.Network = "tcp6"
	}
	report := diagnose.Run(ctx, diagnose.Config{
		Dialer: dialer, Source: c.source(c.streams.Env), Hello: settings.Hello(), Version: version(),
	})
	return c.deliver(report)
}

// deliver prints the report; one that ends badly is an error that was told already.
func (c *diagnoseCommand) deliver(report *diagnose.Report) error {
	if c.report != "" {
		if err := writeReport(c.report, report); err != nil {
			return err
		}
	}
	write := report.Write
	if c.format == "json" {
		write = func(w io.Writer) error { return writeJSON(w, report) }
	}
	if err := write(c.streams.Out); err != nil {
		return err
	}
	if !report.OK {
		return errToldAlready
	}
	return nil
}

func writeReport(path string, report *diagnose.Report) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		err = writeJSON(f, report)
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "the report cannot be written to %q: %v", path, err)
	}
	return nil
}

func writeJSON(w io.Writer, report *diagnose.Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// source says where the server's address came from.
func (c *connection) source(env func(string) string) string {
	switch {
	case c.url != "":
		return "--connect-url"
	case env("POSTERN_CONNECT_URL") != "":
		return "POSTERN_CONNECT_URL"
	}
	return "the configuration file"
}
