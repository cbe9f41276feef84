package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/pki/dnscheck"
	"github.com/postern-dev/postern/server/setup"
)

const serverSetupHelp = `Take this machine to a running server: ask for the domain and an e-mail address, look
whether DNS, ports and the certificate authority are as they have to be, write the
configuration, install the service and start it, and print the first authtoken with
the command that uses it.

Each check that fails says what to change. Everything can be run again: what is there
stays, and a configuration or service that differs is shown as a diff and replaced
only with consent. Every flag of "postern server" is written to the configuration.
With --check nothing is changed.`

const serverSetupExample = `  sudo postern server setup
  sudo postern server setup --domain example.com --email you@example.com --yes
  postern server setup --check --domain example.com`

// defaultServerConfig is where a server's configuration is kept that setup has written.
const defaultServerConfig = "/etc/postern/server.yml"

// setupFlags are setup's own, beside those of the configuration.
type setupFlags struct {
	streams                                      ioStreams
	email, resolver, directory, root             string
	addresses                                    []string
	check, yes, overwrite, force, noService, dns bool
}

// serverSetupCommand takes a bare machine to a running server.
func serverSetupCommand(streams ioStreams) *cobra.Command {
	c := &setupFlags{streams: streams}
	command := &cobra.Command{
		Use:     "setup",
		Short:   "Take this machine to a running server: checks, configuration, service, first keys",
		Long:    serverSetupHelp,
		Example: serverSetupExample,
		Args:    cobra.NoArgs,
		RunE:    c.run,
	}
	flags := command.Flags()
	flags.StringVar(&c.email, "email", "", "the e-mail `ADDRESS` at which the certificate authority reaches you")
	flags.StringArrayVar(&c.addresses, "address", nil, "a public `ADDRESS` of this machine, where its interfaces do not have it; may be repeated")
	flags.BoolVar(&c.dns, "dns", false, "have the server answer DNS for agent ingresses and custom wildcard domains (port 53)")
	flags.StringVar(&c.directory, "acme-directory", "", "`URL` of the certificate authority's directory (default: Let's Encrypt)")
	flags.StringVar(&c.root, "acme-ca-root", "", "PEM `FILE` of who vouches for that directory, where the system does not")
	flags.StringVar(&c.resolver, "resolver", "", "ask the DNS resolver at `ADDRESS[:PORT]` in place of the system's")
	flags.BoolVar(&c.check, "check", false, "only look; the exit status is 1 if a check fails")
	flags.BoolVarP(&c.yes, "yes", "y", false, "ask nothing; what is not said by a flag is the default")
	flags.BoolVar(&c.overwrite, "overwrite", false, "replace a configuration or service that differs, without asking")
	flags.BoolVar(&c.force, "force", false, "go on although a check has failed")
	flags.BoolVar(&c.noService, "no-service", false, "install no service")
	return command
}

func (c *setupFlags) run(cmd *cobra.Command, _ []string) error {
	addresses, err := setup.ParseAddresses(strings.Join(c.addresses, ","))
	if err != nil {
		return err
	}
	resolver, walks, err := resolverAddress(c.resolver)
	if err != nil {
		return err
	}
	given, err := c.given(cmd.Flags())
	if err != nil {
		return err
	}
	path, err := filepath.Abs(firstOf(cmd.Flag("config").Value.String(), c.streams.Env("POSTERN_CONFIG"), defaultServerConfig))
	if err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "the path of --config cannot be made absolute: %v", err)
	}
	executable, err := os.Executable()
	if err == nil {
		executable, err = filepath.EvalSymlinks(executable)
	}
	if err != nil {
		return postern.Errorf(postern.CodeInternal, "this program does not find itself: %v", err)
	}
	s := setup.Setup{
		Path: path, Given: given, Addresses: addresses,
		CheckOnly: c.check, Yes: c.yes, Overwrite: c.overwrite, Force: c.force, NoService: c.noService,
		Console: newSetupConsole(c.streams), Resolver: setup.ResolverAt(resolver), Walks: walks, Network: setup.ThisNetwork(), Run: runProgram,
		Interfaces: setup.Interfaces, Executable: executable,
		Manager: func() (setup.Manager, error) { return setup.Systemd(runProgram) },
		Bootstrap: func(ctx context.Context, config server.Config) (server.Keys, error) {
			return server.Bootstrap(ctx, config, slog.New(obs.NewHandler(c.streams.Err, config.Log.Format, slog.LevelWarn)))
		},
		Probe: "setup-" + strings.ToLower(rand.Text()[:12]), Now: time.Now,
	}
	if !c.check && !c.noService && os.Geteuid() != 0 {
		return postern.Errorf(postern.CodeServiceManager, "setup writes %s and installs a service, for which it must be root: sudo postern server setup; --check and --no-service need not", path)
	}
	return s.Go(cmd.Context())
}

// given is what flags say about the configuration. Those of setup's own are other words for
// keys.
func (c *setupFlags) given(flags *pflag.FlagSet) ([]setup.Wish, error) {
	var wishes []setup.Wish
	for _, setting := range server.Settings() {
		if flag := flags.Lookup(setting.Flag()); flag != nil && flag.Changed {
			wishes = append(wishes, setup.Wish{Key: setting.Key, Value: flag.Value.String()})
		}
	}
	for _, other := range []struct{ flag, key, value string }{
		{"--email", "tls.email", c.email},
		{"--acme-directory", "tls.directory", c.directory},
		{"--acme-ca-root", "tls.ca_root", c.root},
		{"--dns", "listen.dns", map[bool]string{true: ":53"}[c.dns]},
	} {
		if other.value == "" {
			continue
		}
		if !setup.Available(other.key) {
			return nil, postern.Errorf(postern.CodeFlagInvalid, "%s sets %s, which this version does not have", other.flag, other.key)
		}
		wishes = append(wishes, setup.Wish{Key: other.key, Value: other.value})
	}
	return wishes, nil
}

// resolverAddress is host:port, for both ways of asking; "" is the system's resolver.
func resolverAddress(text string) (string, dnscheck.Resolver, error) {
	if text == "" {
		return "", dnscheck.Resolver{}, nil
	}
	at, err := netip.ParseAddrPort(text)
	if addr, bare := netip.ParseAddr(text); bare == nil {
		at, err = netip.AddrPortFrom(addr, 53), nil
	}
	if err != nil {
		return "", dnscheck.Resolver{}, postern.Errorf(postern.CodeFlagInvalid, "--resolver %.60q is not an address, with or without a port", text)
	}
	return at.String(), dnscheck.Resolver{Recursive: []netip.AddrPort{at}}, nil
}

// runProgram runs a program of this machine; what it printed is its output, errors included.
func runProgram(ctx context.Context, argv ...string) (string, error) {
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = append(os.Environ(), "LC_ALL=C")
	output, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", argv[0], err)
	}
	return string(output), err
}
