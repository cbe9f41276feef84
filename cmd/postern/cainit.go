package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/internal/authority"
)

// caInitCommand makes the CA.
func caInitCommand(f *caFlags) *cobra.Command {
	var root authority.Root
	var days int
	var key, layout string
	command := &cobra.Command{
		Use:   "init [DOMAIN…]",
		Short: "Make a certificate authority",
		Long: `Make a certificate authority. DOMAINs, or IP addresses, are all that it can vouch
for, with what is below them: a CA that is for your own names only is worth little to
whoever steals its key. Without them it can vouch for everything.

--layout guide writes ca-crt.pem, ca-key.pem, server-crt.pem and so on into one folder
(the current one), for instructions that have these names.`,
		Example: `  postern ca init customer1.example.com
  postern ca init --name "Acme site-to-site" --days 1825 --dir /etc/acme/ca customer1.example.com 192.0.2.7
  postern ca init --layout guide customer1.example.com`,
		RunE: func(_ *cobra.Command, args []string) error {
			root.Domains, root.Life, root.Key, root.Layout = args, life(days), authority.KeyType(key), authority.Layout(layout)
			ca, err := authority.Init(f.directory(root.Layout), root, time.Now)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(f.streams.Out, initialised(ca))
			return err
		},
	}
	f.register(command.Flags())
	command.Flags().StringVar(&root.Name, "name", "", "`NAME` of the CA, for people (default: one with today's date)")
	command.Flags().IntVar(&days, "days", authority.Days(authority.RootLife), "`DAYS` that the CA is good for")
	registerKeyType(command, &key)
	registerLayout(command, &layout)
	registerForce(command, &root.Replace)
	return command
}

func initialised(ca *authority.Authority) string {
	var text strings.Builder
	fmt.Fprintf(&text, "CA certificate   %s   (for servers' mutual_tls_cas, and for clients)\n", shown(ca.CertificateFile()))
	fmt.Fprintf(&text, "CA key           %s   (stays here; whoever has it lets anybody in)\n", shown(ca.KeyFile()))
	fmt.Fprintf(&text, "Revocation list  %s\n", shown(ca.ListFile()))
	fmt.Fprintf(&text, "Fingerprint      %s\n", authority.Fingerprint(ca.Certificate))
	fmt.Fprintf(&text, "Vouches for      %s\n", strings.Join(authority.Permitted(ca.Certificate), ", "))
	fmt.Fprintf(&text, "Until            %s\n", ca.Certificate.NotAfter.UTC().Format(time.DateOnly))
	text.WriteString("\nNext: postern ca server HOST…, then postern ca client NAME\n")
	return text.String()
}
