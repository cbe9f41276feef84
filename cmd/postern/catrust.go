package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/truststore"
)

const trustHelp = `Have this machine trust the CA of a Postern server (tls.mode: local_ca), so that
browsers and programs open its addresses without a warning: in the system's store, and
in those of Firefox, Chromium and Chrome.

The CA is that of --file, or of --server, whose certificate must have the fingerprint of
--ca-pin ("postern server bootstrap" prints it); without them that of the server on this
machine, or else of the one that you have logged in to.

Everything is told before it is done, and asked about on a terminal. --dry-run shows the
commands. The system's store of Linux is root's: without root, --only browsers changes
the rest. "postern ca untrust" takes out what was put in, and nothing else.`

const trustExample = `  postern ca trust
  sudo postern ca trust --file /var/lib/postern/ca/ca.pem --yes
  postern ca trust --server https://example.com --ca-pin sha256:0123… --only browsers`

// trust is a command that changes stores of trusted certificates.
type trust struct {
	streams ioStreams
	machine truststore.Machine
	origin  trustOrigin
	only    string
	dry     bool
	yes     bool
	format  reportFormat
}

func caTrustCommand(streams ioStreams) *cobra.Command {
	t := &trust{streams: streams, machine: truststore.Local()}
	command := &cobra.Command{
		Use:     "trust",
		Short:   "Have this machine's system and browsers trust a server's CA",
		Long:    trustHelp,
		Example: trustExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, "Trust", func() ([]*x509.Certificate, error) { return t.origin.find(cmd, t.streams) }, t.machine.Trust)
		},
	}
	t.register(command)
	return command
}

func caUntrustCommand(streams ioStreams) *cobra.Command {
	t := &trust{streams: streams, machine: truststore.Local()}
	all := false
	command := &cobra.Command{
		Use:   "untrust",
		Short: "Take out of this machine's stores what trust has put there",
		Long: `Take out of this machine's stores what "postern ca trust" has put there, and nothing
else. Without a flag it is the one CA that was put there; of several --ca-pin says which,
or --all. With --file or --server it is their CA.`,
		Example: `  postern ca untrust
  sudo postern ca untrust --ca-pin sha256:0123… --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, "Stop trusting", func() ([]*x509.Certificate, error) { return t.known(cmd, all) }, t.machine.Untrust)
		},
	}
	t.register(command)
	command.Flags().BoolVar(&all, "all", false, "all CAs that were put there")
	return command
}

func (t *trust) register(command *cobra.Command) {
	flags := command.Flags()
	t.origin.register(flags)
	flags.StringVar(&t.only, "only", string(truststore.All), "`WHICH` stores: all, system or browsers")
	flags.BoolVar(&t.dry, "dry-run", false, "show what would be done, and do nothing")
	flags.BoolVar(&t.yes, "yes", false, "do not ask")
	t.format.register(command)
	_ = command.RegisterFlagCompletionFunc("only", cobra.FixedCompletions([]string{"all", "system", "browsers"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// known are the CAs to take out: those that are named, or that were put there.
func (t *trust) known(cmd *cobra.Command, all bool) ([]*x509.Certificate, error) {
	if t.origin.named() && !(t.origin.pin != "" && t.origin.server == "") {
		return t.origin.find(cmd, t.streams)
	}
	recorded, err := t.machine.Recorded()
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	var list strings.Builder
	for _, c := range recorded {
		fmt.Fprintf(&list, "\n  %s   %s", authority.Fingerprint(c), console.Harmless(c.Subject.CommonName))
		if t.origin.pin == "" || samePin(t.origin.pin, authority.Fingerprint(c)) {
			found = append(found, c)
		}
	}
	switch {
	case len(recorded) == 0:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "postern ca trust has put no CA into this machine's stores. If it did as another user, or elsewhere, name the CA: --file CA.pem")
	case len(found) == 0:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "none of the CAs that were put into this machine's stores has the fingerprint %q:%s", t.origin.pin, list.String())
	case len(found) > 1 && !all:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "there are %d CAs; give --all, or --ca-pin with the fingerprint of one:%s", len(found), list.String())
	}
	return found, nil
}

// samePin compares fingerprints as people have them.
func samePin(x, y string) bool {
	bare := func(text string) string {
		return strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), ":", ""), "sha256")
	}
	return bare(x) == bare(y)
}

// trustReport is what was done about one CA.
type trustReport struct {
	CA          string        `json:"ca"`
	Fingerprint string        `json:"fingerprint"`
	Until       string        `json:"until"`
	VouchesFor  []string      `json:"vouches_for"`
	Stores      []storeReport `json:"stores"`
}

type storeReport struct {
	Store    string   `json:"store"`
	State    string   `json:"state"`
	Problem  string   `json:"problem,omitempty"`
	Commands []string `json:"commands,omitempty"`
}

func (t *trust) run(cmd *cobra.Command, verb string, find func() ([]*x509.Certificate, error), change truststore.Change) error {
	scope := truststore.Scope(t.only)
	if err := t.format.check(); err != nil {
		return err
	}
	if scope != truststore.All && scope != truststore.System && scope != truststore.Browsers {
		return postern.Errorf(postern.CodeFlagInvalid, "--only %q is not all, system or browsers", t.only)
	}
	cas, err := find()
	if err != nil {
		return err
	}
	for _, ca := range cas {
		if err := t.confirm(cmd.Context(), verb, ca, change(cmd.Context(), ca, scope, true)); err != nil {
			return err
		}
	}
	var reports []trustReport
	failed := 0
	for _, ca := range cas {
		r := reportOfCA(ca)
		for _, o := range change(cmd.Context(), ca, scope, t.dry) {
			s := storeReport{Store: o.Store, State: string(o.State), Commands: o.Commands}
			if o.Err != nil {
				s.Problem = o.Err.Error()
				failed++
			}
			r.Stores = append(r.Stores, s)
		}
		reports = append(reports, r)
	}
	if err := report(t.format, t.streams.Out, reports, printTrust); err != nil {
		return err
	}
	if failed > 0 {
		return postern.Errorf(postern.CodeTrustIncomplete, "%d of the stores could not be changed: see above", failed)
	}
	return nil
}

func reportOfCA(c *x509.Certificate) trustReport {
	r := trustReport{
		CA: console.Harmless(c.Subject.CommonName), Fingerprint: authority.Fingerprint(c),
		Until: c.NotAfter.UTC().Format(time.DateOnly), Stores: []storeReport{},
	}
	for _, name := range authority.Permitted(c) {
		r.VouchesFor = append(r.VouchesFor, console.Harmless(name))
	}
	return r
}

// confirm tells what is about to happen, and asks where somebody can be asked.
func (t *trust) confirm(ctx context.Context, verb string, ca *x509.Certificate, planned []truststore.Outcome) error {
	news := false
	var text strings.Builder
	r := reportOfCA(ca)
	fmt.Fprintf(&text, "CA            %s\nFingerprint   %s\nVouches for   %s\nUntil         %s\n", r.CA, r.Fingerprint, strings.Join(r.VouchesFor, ", "), r.Until)
	if len(ca.PermittedDNSDomains) == 0 && verb == "Trust" {
		text.WriteString("WARNING: it can vouch for every site there is. Whoever has its key can read what this machine sends.\n")
	}
	for _, o := range planned {
		news = news || o.State == truststore.WouldAdd || o.State == truststore.WouldRemove
		fmt.Fprintf(&text, "%-13s %s\n", o.State, o.Store)
		if o.Err != nil {
			fmt.Fprintf(&text, "%-13s %v\n", "", o.Err)
		}
	}
	if t.dry || t.yes || !news {
		return nil
	}
	in := t.streams.terminal()
	if in == nil {
		return postern.Errorf(postern.CodeFlagInvalid, "nobody can be asked here whether that is meant; give --yes, or look first with --dry-run")
	}
	fmt.Fprintf(t.streams.Err, "%s\n%s it? [y/N] ", text.String(), verb)
	switch answer, err := answered(ctx, in); {
	case err != nil:
		return err
	case answer != "y" && answer != "yes":
		return postern.Errorf(postern.CodeFlagInvalid, "nothing was changed: the answer was not y")
	}
	return nil
}

// answered reads a line, in lower case, unless ctx ends first: then the reader stays
// behind, and ends with the process.
func answered(ctx context.Context, in io.Reader) (string, error) {
	type reading struct {
		line string
		err  error
	}
	read := make(chan reading, 1)
	go func() {
		text := make([]byte, 64)
		n, err := in.Read(text)
		read <- reading{strings.ToLower(strings.TrimSpace(string(text[:n]))), err}
	}()
	select {
	case r := <-read:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", postern.Errorf(postern.CodeFileUnreadable, "the answer cannot be read from the terminal").Because(r.err)
		}
		return r.line, nil
	case <-ctx.Done():
		return "", postern.Errorf(postern.CodeFlagInvalid, "nothing was changed: interrupted")
	}
}

func printTrust(w io.Writer, reports []trustReport) error {
	var text strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&text, "%s, %s\n", r.CA, r.Fingerprint)
		if len(r.Stores) == 0 {
			text.WriteString("  no store was found here\n")
		}
		for _, s := range r.Stores {
			fmt.Fprintf(&text, "  %-16s %s\n", s.State, s.Store)
			if s.Problem != "" {
				fmt.Fprintf(&text, "  %-16s %s\n", "", s.Problem)
			}
			for _, command := range s.Commands {
				fmt.Fprintf(&text, "  %-16s %s\n", "", command)
			}
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// caOfLogin is the CA that "postern login" has kept; "" is none.
func (s ioStreams) caOfLogin() string {
	var c connection
	return c.savedCAs(s)
}

// loginSettings are what reaches a server without a token.
func (s ioStreams) loginSettings() config.Config {
	return config.Config{Proxy: postern.Secret(s.Env("POSTERN_PROXY_URL")), Transport: s.Env("POSTERN_TRANSPORT")}
}

func dataDirCA(dir string) string { return filepath.Join(dir, "ca", "ca.pem") }
