package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/resource"
)

const dnsCheckHelp = `Look at the DNS records of reserved domains and agent ingresses, as the server sees them:
it asks the name servers of the zones themselves. NAME is one of the account's reserved
domains or agent ingresses, or a name below one; without it all are checked.

The exit status is 0 where every record is there, or at least works.`

func dnsCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "dns",
		Short: "DNS records of domains and agent ingresses",
		Args:  subcommandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(dnsCheckCommand(streams))
	return command
}

func dnsCheckCommand(streams ioStreams) *cobra.Command {
	access := &apiAccess{streams: streams}
	command := &cobra.Command{
		Use:     "check [NAME]",
		Short:   "Say whether the DNS records of a domain are as they should be",
		Long:    dnsCheckHelp,
		Example: "  postern dns check '*.customer1.example.com'\n  postern dns check connect.example.com --json\n  postern dns check",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkDNS(cmd.Context(), access, append(args, "")[0])
		},
	}
	access.registerConnection(command)
	command.Flags().BoolVar(&access.json, "json", false, "print JSON: a list of checks")
	return command
}

// recordsOf is something whose records can be checked.
type recordsOf struct {
	domain postern.Hostname
	kind   string
	path   string
}

func checkDNS(ctx context.Context, access *apiAccess, text string) error {
	api, err := access.client()
	if err != nil {
		return err
	}
	all, err := withRecords(ctx, api)
	if err != nil {
		return err
	}
	if text != "" {
		if all, err = belongingTo(all, text); err != nil {
			return err
		}
	}
	checks := make([]resource.DNSCheck, len(all))
	good := true
	for i, one := range all {
		if err := api.Call(ctx, http.MethodPost, one.path+"/check", nil, &checks[i]); err != nil {
			return err
		}
		good = good && checks[i].Status != "problem"
		if !access.json {
			if err := writeCheck(access.streams.Out, one, checks[i]); err != nil {
				return err
			}
		}
	}
	if access.json {
		encoder := json.NewEncoder(access.streams.Out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(checks)
	} else if len(all) == 0 {
		_, err = fmt.Fprintln(access.streams.Out, "The account has no reserved domain and no agent ingress.")
	}
	if err == nil && !good {
		err = errToldAlready
	}
	return err
}

// withRecords gives all that the account has records for.
func withRecords(ctx context.Context, api *client.Client) ([]recordsOf, error) {
	var all []recordsOf
	for domain, err := range client.For(api, resource.ReservedDomains()).List(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, recordsOf{postern.Hostname(domain.Domain), "reserved domain", resource.ReservedDomains().PathOf(domain.ID)})
	}
	for ingress, err := range client.For(api, resource.AgentIngresses()).List(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, recordsOf{postern.Hostname(ingress.Domain), "agent ingress", resource.AgentIngresses().PathOf(ingress.ID)})
	}
	return all, nil
}

// belongingTo finds what has a name, else what is nearest above it.
func belongingTo(all []recordsOf, text string) ([]recordsOf, error) {
	name, err := nameOf(text)
	if err != nil {
		return nil, err
	}
	for at := name; at != ""; at = at.Parent() {
		var found []recordsOf
		for _, one := range all {
			if one.domain == at || one.domain == "*."+at {
				found = append(found, one)
			}
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, postern.Errorf(postern.CodeFlagInvalid,
		"%s is neither a reserved domain nor an agent ingress of this account, nor below one; reserve it first: postern api reserved-domains create --domain %s", name, name)
}

func nameOf(text string) (postern.Hostname, error) {
	ascii, err := idn.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil {
		return "", err
	}
	return postern.ParseHostname(ascii)
}

// writeCheck is a check as people read it.
func writeCheck(w io.Writer, of recordsOf, check resource.DNSCheck) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s (%s): %s\n", check.Domain, of.kind, check.Status)
	for _, record := range check.Records {
		fmt.Fprintf(&text, "  %-8s %-5s %s\n", record.Status, record.Type, console.Harmless(record.Name))
		fmt.Fprintf(&text, "           %s\n", console.Harmless(record.Msg))
		if record.Status != "ok" {
			writeList(&text, "want", record.Want)
			writeList(&text, "have", record.Have)
		}
		if record.Code != nil && record.Status != "ok" {
			fmt.Fprintf(&text, "           %s  %s\n", console.Harmless(*record.Code), docsPage(postern.Code(*record.Code)))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func writeList(text *strings.Builder, word string, list []string) {
	for _, one := range list {
		fmt.Fprintf(text, "           %s  %s\n", word, console.Harmless(one))
	}
}
