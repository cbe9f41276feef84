package main

import (
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/handover"
)

const serverHelp = `Run a server: it accepts visitors on public addresses and agents that dial in.

Without a configuration the server runs in development mode: the domain is
localhost, it listens on 127.0.0.1:8443 (https, agents), 127.0.0.1:8880 (http) and
127.0.0.1:9090 (health, metrics), and keeps its data in your data directory. For
anything else give --config, or at least --domain.

Every key of the configuration has a flag and an environment variable: listen.https
is --listen-https and POSTERN_LISTEN_HTTPS. Flags win over the environment, which
wins over the file.`

const serverExample = `  sudo postern server setup
  postern server
  postern server --config /etc/postern/server.yml
  postern server check --config /etc/postern/server.yml
  postern server bootstrap --config /etc/postern/server.yml --format json
  postern server keys list --config /etc/postern/server.yml
  postern server backup --config /etc/postern/server.yml /mnt/backups/postern.tar.gz`

// serverCommand runs a server; its children check a configuration, make the first
// keys, and save and bring back what a server keeps.
func serverCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:     "server",
		Short:   "Run a server",
		Long:    serverHelp,
		Example: serverExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runServer(cmd, streams)
		},
	}
	command.Flags().Bool("upgrade", false, "take over from the server that runs with the same data directory, without a visitor's noticing; start by itself if none runs")
	serverFlags(command.PersistentFlags())
	command.AddCommand(serverCheckCommand(streams), serverBootstrapCommand(streams),
		serverSetupCommand(streams), serverKeysCommand(streams), serverAccountsCommand(streams), serverUsersCommand(streams), serverBackupCommand(streams), serverRestoreCommand(streams))
	return command
}

// serverFlags defines --config and one flag for each key. What no code implements
// yet has a flag as well, so that it is refused with its reason, but no help.
func serverFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "read the configuration from `FILE` (POSTERN_CONFIG)")
	defaults := server.Default()
	for _, setting := range server.Settings() {
		flag := flags.VarPF(&settingValue{argument: setting.Argument}, setting.Flag(), "", setting.About)
		flag.DefValue = setting.Value(defaults)
		flag.Hidden = setting.Unavailable()
	}
}

// settingValue holds a flag's text; server.Load reads it, with all others, so that
// every message about a key is the same wherever it was set.
type settingValue struct{ argument, text string }

func (v *settingValue) String() string { return v.text }

func (v *settingValue) Set(text string) error {
	v.text = text
	return nil
}

// Type is what the help shows as the flag's argument.
func (v *settingValue) Type() string { return v.argument }

// loadServer gives what reads the configuration, now and at every reload.
func loadServer(cmd *cobra.Command, streams ioStreams) func() (server.Config, error) {
	path := cmd.Flag("config").Value.String()
	given := make(map[string]string)
	cmd.Flags().Visit(func(flag *pflag.Flag) { given[flag.Name] = flag.Value.String() })
	return func() (server.Config, error) { return server.Load(path, streams.Env, given) }
}

func runServer(cmd *cobra.Command, streams ioStreams) error {
	load := loadServer(cmd, streams)
	config, err := load()
	if err != nil {
		return err
	}
	listeners, err := handover.Activated(streams.Env)
	if err != nil {
		return err
	}
	upgrade, err := cmd.Flags().GetBool("upgrade")
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(config.SlogLevel())
	logger := slog.New(obs.NewHandler(streams.Err, config.Log.Format, level))
	adoptStandardLog(logger)
	node, err := server.New(config, server.Options{
		Logger:  logger,
		Level:   level,
		Version: version(),
		Stdout:  streams.Out,
		Stderr:  streams.Err,
		Load:    load,
		Upgrade: upgrade,

		Listeners: listeners,
		Ready: func() {
			if err := handover.NotifyReady(streams.Env); err != nil {
				logger.Warn("the service manager was not told that the server is ready", "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	return node.Run(cmd.Context())
}
