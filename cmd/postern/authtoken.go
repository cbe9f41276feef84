package main

import (
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/session"
)

// configFile is the --config of commands that change or check files, and ngrok's
// flags that wrappers add to every command.
type configFile struct {
	streams ioStreams
	paths   []string
}

func (c *configFile) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.paths, "config", nil, "the configuration `file` (default: the one in your home directory)")
	for _, name := range []string{"log", "log-format", "log-level", "region"} {
		flags.String(name, "", "has no effect here")
		hide(flags, name)
	}
}

// save writes one setting and then says so: programs that run this command end it at
// the first byte of its output.
func (c *configFile) save(what string, setting config.Setting) error {
	path, err := c.streams.savePath(c.paths)
	if err != nil {
		return err
	}
	if err := config.Save(path, setting); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.streams.Out, "%s saved to configuration file: %s\n", what, path)
	return err
}

// authtokenCommand is the second generation's; "config add-authtoken" is the third's.
func authtokenCommand(streams ioStreams) *cobra.Command {
	command := addAuthtokenCommand(streams)
	command.Use = "authtoken TOKEN"
	command.Example = "  postern authtoken TOKEN"
	return command
}

func addAuthtokenCommand(streams ioStreams) *cobra.Command {
	return saveCommand(streams, saved{
		use: "add-authtoken TOKEN", short: "Save the authtoken in the configuration file",
		what: "Authtoken", key: "authtoken",
	})
}

func addAPIKeyCommand(streams ioStreams) *cobra.Command {
	return saveCommand(streams, saved{
		use: "add-api-key KEY", short: "Save the API key in the configuration file",
		what: "API key", key: "api_key",
	})
}

func addConnectURLCommand(streams ioStreams) *cobra.Command {
	command := saveCommand(streams, saved{
		use: "add-connect-url HOST:PORT", short: "Save the address of the server in the configuration file",
		what: "Connect URL", key: "connect_url",
		check: func(text string) error {
			_, err := session.ParseServer(text)
			return err
		},
	})
	command.Aliases = []string{"add-server-addr"}
	return command
}

// saved is one kind of setting that a command saves.
type saved struct {
	use, short, what, key string
	check                 func(string) error
}

func saveCommand(streams ioStreams, s saved) *cobra.Command {
	file := &configFile{streams: streams}
	command := &cobra.Command{
		Use:     s.use,
		Short:   s.short,
		Long:    s.short + ", which is made where it is missing. Everything else in it stays as it is.",
		Example: "  postern config " + s.use,
		Args:    oneValue(s.what),
		RunE: func(_ *cobra.Command, args []string) error {
			if s.check != nil {
				if err := s.check(args[0]); err != nil {
					return err
				}
			}
			return file.save(s.what, config.Setting{Key: s.key, Value: args[0]})
		},
	}
	file.register(command.Flags())
	return command
}

// oneValue wants one argument that is not blank.
func oneValue(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return postern.Errorf(postern.CodeFlagInvalid, "You must specify a single argument: the %s to save.\nYou specified %d arguments", what, len(args))
		}
		if args[0] == "" {
			return postern.Errorf(postern.CodeFlagInvalid, "the %s to save is empty", what)
		}
		return nil
	}
}

func addWebTokenCommand(streams ioStreams) *cobra.Command {
	file := &configFile{streams: streams}
	command := &cobra.Command{
		Use:   "add-web-token [TOKEN]",
		Short: "Save the token that requests from elsewhere to the local API must carry",
		Long: `Save the token that requests from elsewhere to the local API must carry, as
"Authorization: Bearer TOKEN". Without TOKEN one is made and printed.`,
		Example: "  postern config add-web-token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			token, made := "", len(args) == 0
			if made {
				token = rand.Text()
			} else if token = args[0]; token == "" {
				return oneValue("web token")(nil, args)
			}
			if err := file.save("Web token", config.Setting{Key: "web_token", Value: token}); err != nil || !made {
				return err
			}
			_, err := fmt.Fprintln(streams.Out, token)
			return err
		},
	}
	file.register(command.Flags())
	return command
}
