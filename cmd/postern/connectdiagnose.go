package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/connector"
	"github.com/postern-dev/postern/agent/diagnose"
)

// connectDiagnoseCommand finds out how a connector gets to its gateway.
func connectDiagnoseCommand(streams ioStreams) *cobra.Command {
	run := &connectRun{streams: streams}
	report := &diagnoseCommand{streams: streams}
	command := &cobra.Command{
		Use:   "diagnose SERVER",
		Short: "Find out how a connector gets to its gateway, or where it stops",
		Long: `Find out how a connector gets to its gateway, or where it stops: the name, the proxy,
TLS and who vouches for it, the pre-flight, our own link, and the WebSocket and SSH of
chisel's wire. Nothing is offered, so what runs is not disturbed. The status is 0 where a
connector would get through and its token is accepted; else 1.`,
		Example: `  postern connect diagnose --token-file token https://gateway.example.com/sg_…
  postern connect diagnose --config connector.yml --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := run.diagnose(cmd.Context(), args)
			if err != nil {
				return err
			}
			return report.deliver(gatewayReport(found))
		},
	}
	run.connectFlags.register(command.Flags())
	run.registerOwn(command.Flags())
	hide(command.Flags(), "max-retry-count", "max-retry-interval", "pid", "allow", "listen-admin", "drain", "log", "log-format", "log-level")
	command.Flags().StringVar(&report.format, "format", "text", "text or json")
	command.Flags().StringVarP(&report.report, "write-report", "w", "", "also write the report, as JSON, to this `file`")
	return command
}

// diagnose goes the way to the gateway of a command line, or to the first of a file.
func (c *connectRun) diagnose(ctx context.Context, args []string) (*connector.Diagnosis, error) {
	if c.config == "" {
		if len(args) == 0 {
			return nil, postern.Errorf(postern.CodeFlagInvalid, "connect diagnose needs the server's address, or --config FILE")
		}
		args = append(args, "R:1:localhost:1") // which is never offered
	}
	plan, _, err := c.plan(args)
	if err != nil {
		return nil, err
	}
	return connector.Diagnose(ctx, connector.Config{
		Gateways: plan.Gateways, UserAgent: c.userAgent(), Hello: c.hello(), Logger: slog.New(slog.DiscardHandler),
	})
}

// gatewayReport puts what was found into the form of "postern diagnose".
func gatewayReport(found *connector.Diagnosis) *diagnose.Report {
	report := &diagnose.Report{
		Version: version(), Server: found.Server, Proxy: found.Proxy, Transport: "auto",
		OK: found.Takes != "", Takes: found.Takes, Why: found.Why,
	}
	for _, f := range found.Findings {
		check := diagnose.Check{Transport: f.Wire, Name: f.Name, Status: diagnose.OK, Text: f.Text, Took: f.Took, Details: f.Details}
		switch {
		case f.Skipped:
			check.Status = diagnose.Skipped
		case f.Err != nil:
			coded := postern.AsError(f.Err)
			check.Status, check.Text, check.Code, check.NextStep = diagnose.Failed, coded.Text(), coded.Code, nextStep(coded.Code)
		}
		report.Checks = append(report.Checks, check)
	}
	return report
}

// nextStep is the catalogue's, in the terms of connectors where it speaks of agents.
func nextStep(code postern.Code) string {
	switch code {
	case postern.CodeServerUnreachable:
		return "Check the server's address, that it runs, and that nothing between here and it blocks the port; --proxy names a proxy on the way."
	case postern.CodeServerUntrusted:
		return "Give --tls-ca the file of who vouches for the gateway. If the certificates above are not the gateway's, somebody between here and it ends TLS."
	case postern.CodeIntercepted:
		return "Check the server's address. A proxy or a firewall on the way must let WebSockets through."
	}
	return code.Entry().Fix
}
