package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
)

const caHelp = `Make certificates for mutual TLS between people who know each other: a certificate
authority in a directory of your own, certificates of servers and clients, and a list
of those that were revoked. No server is needed, and nothing is sent anywhere.

The directory is --dir, else POSTERN_CA_DIR, else postern-ca, or the current directory
if a CA is in it. Whoever has the CA's key can let anybody in: keep the directory where
only you get at it. An agent needs ca.pem and the files of its server, a client the
files of its folder. Nothing is overwritten without --force.

trust and untrust are about another CA: that of a Postern server, which browsers on
this machine shall trust.`

const caExample = `  postern ca init customer1.example.com
  postern ca server '*.customer1.example.com'
  postern ca client alice@example.com --p12
  postern ca revoke alice@example.com --reason key-compromise`

// caFlags are those of all commands on a CA's directory.
type caFlags struct {
	streams    ioStreams
	dir        string
	passphrase string // file of the key's
}

// caCommand makes certificates.
func caCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:     "ca",
		Short:   "Make certificates for mutual TLS, or trust a server's CA",
		Long:    caHelp,
		Example: caExample,
		Args:    subcommandOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := &caFlags{streams: streams}
	command.AddCommand(
		caInitCommand(f),
		caServerCommand(f),
		caClientCommand(f),
		caRequestCommand(f),
		caRevokeCommand(f),
		caListRevokedCommand(f),
		caListCommand(f),
		caShowCommand(f),
		caTrustCommand(streams),
		caUntrustCommand(streams),
	)
	return command
}

func (f *caFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "dir", "", "`directory` of the CA (env POSTERN_CA_DIR; default postern-ca)")
}

// registerKey is for commands that sign.
func (f *caFlags) registerKey(flags *pflag.FlagSet) {
	f.register(flags)
	flags.StringVar(&f.passphrase, "key-passphrase-file", "", "`file` of the passphrase, where you have encrypted the CA's key")
}

// directory is where the CA is, or shall be.
func (f *caFlags) directory(layout authority.Layout) string {
	if dir := firstOf(f.dir, f.streams.Env("POSTERN_CA_DIR")); dir != "" {
		return dir
	}
	const usual = "postern-ca"
	if exists(usual) {
		return usual
	}
	for _, file := range []string{"ca.pem", "ca-crt.pem"} {
		if exists(file) {
			return "."
		}
	}
	if layout == authority.Guide {
		return "."
	}
	return usual
}

// open finds the CA.
func (f *caFlags) open() (*authority.Authority, error) {
	ca, err := authority.Open(f.directory(authority.Tree), time.Now)
	if err != nil || f.passphrase == "" {
		return ca, err
	}
	ca.Passphrase, err = f.streams.readPassphrase("--key-passphrase-file", f.passphrase)
	return ca, err
}

// readPassphrase reads the first line of a file, or of stdin where that is "-".
func (s ioStreams) readPassphrase(flag, path string) (postern.Secret, error) {
	in := s.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", postern.Errorf(postern.CodeFileUnreadable, "%s %s cannot be read: %v", flag, path, err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, longestLine))
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "%s %s cannot be read: %v", flag, path, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", postern.Errorf(postern.CodeFlagInvalid, "%s %s: the first line is empty; it must be the passphrase", flag, path)
	}
	return postern.Secret(line), nil
}

// leafFlags are those of commands that make a certificate.
type leafFlags struct {
	days    int
	key     string
	request string
	out     string
	force   bool
	chosen  func() bool // the type of the key
}

func (l *leafFlags) register(command *cobra.Command, days time.Duration) {
	flags := command.Flags()
	flags.IntVar(&l.days, "days", authority.Days(days), "`DAYS` that the certificate is good for")
	flags.StringVar(&l.request, "csr", "", "sign this signing request `file`: the key stays where it was made")
	flags.StringVar(&l.out, "out", "", "`folder` for the files (default: one in the CA's directory)")
	registerKeyType(command, &l.key)
	registerForce(command, &l.force)
	l.chosen = func() bool { return flags.Changed("key-type") }
}

func registerKeyType(command *cobra.Command, kind *string) {
	command.Flags().StringVar(kind, "key-type", authority.KeyTypes()[0], "`TYPE` of the private key: "+strings.Join(authority.KeyTypes(), ", "))
	_ = command.RegisterFlagCompletionFunc("key-type", cobra.FixedCompletions(authority.KeyTypes(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

func registerForce(command *cobra.Command, force *bool) {
	command.Flags().BoolVar(force, "force", false, "replace files that are there")
}

func registerLayout(command *cobra.Command, layout *string) {
	command.Flags().StringVar(layout, "layout", string(authority.Tree), "`NAMES` of files: tree, or guide for ca-crt.pem, server-key.pem and so on")
	layouts := []string{string(authority.Tree), string(authority.Guide)}
	_ = command.RegisterFlagCompletionFunc("layout", cobra.FixedCompletions(layouts, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// life is a number of days. The authority bounds it; here only the arithmetic is.
func life(days int) time.Duration {
	const day = 24 * time.Hour
	if days == 0 {
		return -1 // asked for; as a life, 0 is the usual one
	}
	return time.Duration(max(min(days, 100_000), -1)) * day
}

// leaf is what the flags say.
func (l *leafFlags) leaf() (authority.Leaf, error) {
	leaf := authority.Leaf{Life: life(l.days), Key: authority.KeyType(l.key), Folder: l.out, Replace: l.force}
	if l.request == "" {
		return leaf, nil
	}
	if l.chosen() {
		return leaf, postern.Errorf(postern.CodeFlagInvalid, "--key-type is for keys that are made here; with --csr the key is there already")
	}
	var err error
	leaf.Request, err = authority.ReadRequest(l.request)
	return leaf, err
}

// shown is a path as it is pasted into a shell or a configuration file.
func shown(path string) string { return filepath.Clean(path) }
