package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/internal/authority"
)

// caRequestCommand makes keys that stay where they are made.
func caRequestCommand(f *caFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "csr",
		Short: "Make a key that stays here, and a signing request for it",
		Long: `Make a key that stays here, and a certificate signing request for it. Whoever has
the CA signs that with --csr and sends back the certificate; the key is never sent.`,
		Example: `  postern ca csr server '*.customer1.example.com'     # at the site
  postern ca server --csr server.csr                    # where the CA is`,
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(
		f.requestCommand("server NAME…", "For a server of these host names or IP addresses", nil, func(r requestFlags, args []string) (authority.Asked, error) {
			return authority.RequestServer(r.out, args, authority.KeyType(r.key), authority.Layout(r.layout), r.force)
		}),
		f.requestCommand("client NAME", "For a client", oneClient, func(r requestFlags, args []string) (authority.Asked, error) {
			return authority.RequestClient(r.out, args[0], authority.KeyType(r.key), authority.Layout(r.layout), r.force)
		}),
	)
	return command
}

type requestFlags struct {
	out, key, layout string
	force            bool
}

func (f *caFlags) requestCommand(use, short string, args cobra.PositionalArgs, ask func(requestFlags, []string) (authority.Asked, error)) *cobra.Command {
	var r requestFlags
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  args,
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := ask(r, args)
			if err != nil {
				return err
			}
			example := ""
			if cmd.Name() == "client" {
				example = fmt.Sprintf(" %q", args[0])
			}
			_, err = fmt.Fprintf(f.streams.Out, "Signing request  %s   (send it to whoever has the CA: postern ca %s%s --csr FILE)\nPrivate key      %s   (stays here)\n",
				shown(asked.Request), cmd.Name(), example, shown(asked.Key))
			return err
		},
	}
	command.Flags().StringVar(&r.out, "out", ".", "`folder` for the files")
	registerKeyType(command, &r.key)
	registerLayout(command, &r.layout)
	registerForce(command, &r.force)
	return command
}
