package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/background"
	"github.com/postern-dev/postern/agent/connector"
)

// serviceCommand has the system run the agent.
func serviceCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "service",
		Short: "Have the system run the agent: install, start, stop, restart, uninstall, status",
		Long: `Have the system run the agent, with systemd, launchd or as a Windows service: it
starts with the machine, comes back when it ends, and takes all endpoints of its
configuration file online. "service install" needs --config. With --connector it is the
connector of private gateways, a service of its own.`,
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, action := range []struct{ name, short, done string }{
		{"install", "Install the service; it is started with \"service start\" and at every start of the system", "installed"},
		{"start", "Start the service", "started"},
		{"stop", "Stop the service", "stopped"},
		{"restart", "Restart the service", "restarted"},
		{"uninstall", "Uninstall the service", "uninstalled"},
		{"status", "Say whether the service runs; the exit status is 0 if it does", ""},
	} {
		c := &serviceAction{streams: streams, action: action.name, done: action.done}
		child := &cobra.Command{Use: action.name, Short: action.short, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return c.run() }}
		c.register(child.Flags())
		command.AddCommand(child)
	}
	return command
}

type serviceAction struct {
	streams      ioStreams
	action, done string
	paths        []string
	user         bool
	connector    bool
}

func (c *serviceAction) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.paths, "config", nil, "the configuration `file` of the service")
	flags.BoolVar(&c.connector, "connector", false, "the connector of private gateways, not an agent")
	flags.BoolVar(&c.user, "user", false, "a service of yours, not of the system")
}

func (c *serviceAction) run() error {
	paths := splitPaths(c.paths)
	if len(paths) > 1 {
		return postern.Errorf(postern.CodeFlagInvalid, "--config names %d files; a service has one", len(paths))
	}
	s := background.Service{Name: c.streams.Name, User: c.user, Config: firstOf(paths...)}
	if c.connector {
		s.Name, s.Command = c.streams.Name+"-connector", connectorService
	}
	switch c.action {
	case "status":
		return c.status(s)
	case "install":
		if err := s.Install(); err != nil {
			return err
		}
	default:
		if err := s.Do(c.action); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.streams.Out, "Service %s %s\n", s.Name, c.done)
	return err
}

// connectorService is the command line of a connector that the system runs.
func connectorService(path string) ([]string, error) {
	file, err := connector.Load(path)
	if err != nil {
		return nil, err
	}
	if _, err := connector.New(connector.Config{Gateways: file.Gateways, Allow: file.Allow}); err != nil {
		return nil, err
	}
	arguments := []string{"connect", "--config", path}
	if file.Log == "" {
		arguments = append(arguments, background.Log(path)...)
	}
	return arguments, nil
}

func (c *serviceAction) status(s background.Service) error {
	status, err := s.Status()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.streams.Out, "Service %s is %s\n", s.Name, status); err != nil {
		return err
	}
	if status != "running" {
		return errToldAlready
	}
	return nil
}
