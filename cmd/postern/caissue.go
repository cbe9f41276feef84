package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/material"
)

// caServerCommand makes a server's certificate.
func caServerCommand(f *caFlags) *cobra.Command {
	var l leafFlags
	command := &cobra.Command{
		Use:   "server NAME…",
		Short: "Make a certificate for a server of these host names or IP addresses",
		Long: `Make a certificate for a server of these host names or IP addresses, with its key.
A wildcard is a name's whole first label, in quotes, and stands for one label.

With --csr the request's key is certified and no key is made; without NAMEs those of
the request are taken, and of what else it asks for nothing.

Renew one with the same command and --force, before it ends.`,
		Example: `  postern ca server '*.customer1.example.com' customer1.example.com
  postern ca server api.customer1.example.com 192.0.2.7 --days 30
  postern ca server --csr server.csr --out handed-back`,
		RunE: func(_ *cobra.Command, args []string) error {
			leaf, err := l.leaf()
			if err != nil {
				return err
			}
			ca, err := f.open()
			if err != nil {
				return err
			}
			made, err := ca.Server(args, leaf)
			if err != nil {
				return err
			}
			return f.printServer(ca, made)
		},
	}
	f.registerKey(command.Flags())
	l.register(command, authority.LeafLife)
	return command
}

// printIssued tells what was made.
func printIssued(w io.Writer, made authority.Issued) {
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-13s %s\n", label, text)
		}
	}
	row("Certificate", shown(made.Certificate))
	if made.Key != "" {
		row("Private key", shown(made.Key))
	}
	if made.Archive != "" {
		row("PKCS #12", shown(made.Archive))
	}
	row("Names", strings.Join(made.Names(), ", "))
	until := made.NotAfter.UTC().Format(time.DateOnly)
	if made.Shortened {
		until += "   (when the CA ends, which is earlier than asked for)"
	}
	row("Until", until)
	row("Serial", material.Serial(made.Record.SerialNumber))
}

// printServer adds what the agent is told.
func (f *caFlags) printServer(ca *authority.Authority, made authority.Issued) error {
	var text strings.Builder
	printIssued(&text, made)
	key := made.Key
	if key == "" {
		key = "the key of the request"
	}
	host := "HOST"
	if i := slices.IndexFunc(made.Names(), func(n string) bool { return n != "" }); i >= 0 {
		host = made.Names()[i]
	}
	fmt.Fprintf(&text, `
For a tunnel that ends TLS at the agent and lets in this CA's clients only:

  tunnels:
    api:
      proto: tls
      addr: 3000
      domain: %s
      terminate_at: agent
      crt: %s
      key: %s
      mutual_tls_cas: %s
      mutual_tls_crl: %s
`, strings.Replace(host, "*", "api", 1), shown(made.Certificate), shown(key), shown(ca.CertificateFile()), shown(ca.ListFile()))
	_, err := io.WriteString(f.streams.Out, text.String())
	return err
}

// clientFlags are those that only clients have.
type clientFlags struct {
	leafFlags
	p12, legacy bool
	passphrase  string
	host        string
}

// caClientCommand makes a client's certificate and what it is handed over with.
func caClientCommand(f *caFlags) *cobra.Command {
	var c clientFlags
	command := &cobra.Command{
		Use:   "client NAME",
		Short: "Make a certificate for a client, and the folder to hand over to it",
		Long: `Make a certificate for a client, and the folder to hand over to it: certificate, key,
the CA's certificate, and a page with the curl line and the steps for Postman.

NAME is a person's e-mail address, a host or any other name; servers see it as the
common name. --p12 adds a PKCS #12 file, for Postman, browsers and systems, with a
passphrase that is made up and shown once, or read from --passphrase-file. --legacy
encrypts it as old programs and Apple's key chain read it.

With --csr the request's key is certified, and the key never comes here.`,
		Example: `  postern ca client alice@example.com --p12
  postern ca client reporting --days 365 --host api.customer1.example.com
  postern ca client laptop-7 --csr laptop-7.csr`,
		Args: oneClient,
		RunE: func(_ *cobra.Command, args []string) error { return c.run(f, args[0]) },
	}
	f.registerKey(command.Flags())
	c.register(command, authority.LeafLife)
	flags := command.Flags()
	flags.BoolVar(&c.p12, "p12", false, "write a PKCS #12 file as well")
	flags.StringVar(&c.passphrase, "passphrase-file", "", "`file` of the PKCS #12 file's passphrase; - is stdin (default: one is made up)")
	flags.BoolVar(&c.legacy, "legacy", false, "encrypt the PKCS #12 file as old programs read it")
	flags.StringVar(&c.host, "host", "", "`HOST` that the page has the client visit (default: the last server's name)")
	return command
}

func oneClient(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return postern.Errorf(postern.CodeFlagInvalid, "name the client: postern ca client alice@example.com")
	case len(args) > 1:
		return postern.Errorf(postern.CodeFlagInvalid, "a certificate is for one client, and %d were named; put a name with blanks in quotes", len(args))
	}
	return nil
}

func (c *clientFlags) run(f *caFlags, name string) error {
	leaf, err := c.leaf()
	if err != nil {
		return err
	}
	archive, made, err := c.archive(f.streams)
	if err != nil {
		return err
	}
	ca, err := f.open()
	if err != nil {
		return err
	}
	issued, err := ca.Client(name, c.host, leaf, archive)
	if err != nil {
		return err
	}
	var text strings.Builder
	printIssued(&text, issued)
	if made {
		fmt.Fprintf(&text, "Passphrase    %s   (of the PKCS #12 file; it is not shown again. Send it another way than the file)\n", archive.Passphrase.Reveal())
	}
	fmt.Fprintf(&text, "\nHand over the files in %s; %s says how to use them:\n\n  %s\n", shown(issued.Folder), shown(issued.Readme), issued.Curl)
	_, err = io.WriteString(f.streams.Out, text.String())
	return err
}

// archive is what --p12 asks for; made tells that the passphrase was made up.
func (c *clientFlags) archive(streams ioStreams) (archive *authority.Archive, made bool, err error) {
	if !c.p12 {
		if c.passphrase != "" || c.legacy {
			return nil, false, postern.Errorf(postern.CodeFlagInvalid, "--passphrase-file and --legacy are about the PKCS #12 file; give --p12 as well")
		}
		return nil, false, nil
	}
	archive = &authority.Archive{Legacy: c.legacy}
	if c.passphrase == "" {
		archive.Passphrase = authority.NewPassphrase()
		return archive, true, nil
	}
	archive.Passphrase, err = streams.readPassphrase("--passphrase-file", c.passphrase)
	return archive, false, err
}
