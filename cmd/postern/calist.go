package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/material"
)

// caRevokeCommand takes certificates back.
func caRevokeCommand(f *caFlags) *cobra.Command {
	var why string
	command := &cobra.Command{
		Use:   "revoke NAME|SERIAL|FILE…",
		Short: "Take certificates back, and sign the revocation list anew",
		Long: `Take certificates back, and sign the revocation list anew. A NAME is all certificates
with that name that have not ended; a serial number, or a certificate's file, is one.

Servers refuse them once they have the new list: copy crl.pem to where mutual_tls_crl
reads it.`,
		Example: `  postern ca revoke alice@example.com --reason key-compromise
  postern ca revoke 5A0F…`,
		RunE:              func(_ *cobra.Command, args []string) error { return f.revoke(args, why) },
		ValidArgsFunction: f.completeNames,
	}
	f.registerKey(command.Flags())
	command.Flags().StringVar(&why, "reason", "unspecified", "`WHY`: "+strings.Join(authority.Reasons(), ", "))
	_ = command.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(authority.Reasons(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return command
}

// completeNames offers what the CA has issued and not revoked, beside the shell's files.
func (f *caFlags) completeNames(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	ca, err := f.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	records, err := ca.Records()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, r := range records {
		if all := r.Names(); r.RevokedAt.IsZero() && len(all) > 0 && !slices.Contains(given, all[0]) && !slices.Contains(names, all[0]) {
			names = append(names, all[0])
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

func (f *caFlags) revoke(queries []string, why string) error {
	if len(queries) == 0 {
		return postern.Errorf(postern.CodeFlagInvalid, "say which certificate: its name, serial number or file; \"postern ca list\" shows them")
	}
	reason, err := authority.ParseReason(why)
	if err != nil {
		return err
	}
	ca, err := f.open()
	if err != nil {
		return err
	}
	var all []authority.Record
	for _, query := range queries {
		found, err := ca.Find(query)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	done, err := ca.Revoke(all, reason)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, r := range done {
		fmt.Fprintf(&text, "Revoked %s (%s, serial %s)\n", strings.Join(r.Names(), ", "), r.Role(), material.Serial(r.SerialNumber))
	}
	if len(done) == 0 {
		text.WriteString("Nothing is new: all of them were revoked before.\n")
	}
	fmt.Fprintf(&text, "Revocation list: %s\n", shown(ca.ListFile()))
	_, err = io.WriteString(f.streams.Out, text.String())
	return err
}

// caListRevokedCommand keeps the list from growing old.
func caListRevokedCommand(f *caFlags) *cobra.Command {
	var days int
	command := &cobra.Command{
		Use:   "crl",
		Short: "Sign the revocation list anew, before it ends",
		Long: `Sign the revocation list anew. It says until when it is good, and the CA has to sign
it anew by then: what was revoked later could be missing in an old one.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ca, err := f.open()
			if err != nil {
				return err
			}
			if err := ca.Renew(life(days)); err != nil {
				return err
			}
			list, err := ca.List()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(f.streams.Out, "Revocation list %s: number %s, %d revoked, good until %s\n",
				shown(ca.ListFile()), list.Number, len(list.RevokedCertificateEntries), list.NextUpdate.UTC().Format(time.DateOnly))
			return err
		},
	}
	f.registerKey(command.Flags())
	command.Flags().IntVar(&days, "days", authority.Days(authority.ListLife), "`DAYS` that the list is good for")
	return command
}

// certificateReport is a certificate as reports have it.
type certificateReport struct {
	Serial      string     `json:"serial"`
	Role        string     `json:"role"`
	Names       []string   `json:"names"`
	Status      string     `json:"status"`
	NotBefore   time.Time  `json:"not_before"`
	NotAfter    time.Time  `json:"not_after"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Issuer      string     `json:"issuer"`
	Key         string     `json:"key"`
	Usages      []string   `json:"usages"`
	Fingerprint string     `json:"fingerprint"`
	Defects     []string   `json:"defects,omitempty"`
}

func reportOf(r authority.Record, now time.Time) certificateReport {
	shown := certificateReport{
		Serial: material.Serial(r.SerialNumber), Role: r.Role(), Names: r.Names(), Status: r.Status(now),
		NotBefore: r.NotBefore.UTC(), NotAfter: r.NotAfter.UTC(), Issuer: r.Issuer.String(),
		Key: authority.DescribeKey(r.PublicKey), Usages: authority.Usages(r.Certificate), Fingerprint: authority.Fingerprint(r.Certificate),
	}
	if !r.RevokedAt.IsZero() {
		at := r.RevokedAt.UTC()
		shown.RevokedAt, shown.Reason = &at, r.Reason.String()
	}
	return shown
}

// caListCommand shows what was issued.
func caListCommand(f *caFlags) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "list",
		Short: "Show what the CA has issued, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := format.check(); err != nil {
				return err
			}
			ca, err := f.open()
			if err != nil {
				return err
			}
			records, err := ca.Records()
			if err != nil {
				return err
			}
			all := make([]certificateReport, len(records))
			for i, r := range records {
				all[i] = reportOf(r, time.Now())
			}
			return report(format, f.streams.Out, all, printList)
		},
	}
	f.register(command.Flags())
	format.register(command)
	return command
}

func printList(w io.Writer, all []certificateReport) error {
	if len(all) == 0 {
		_, err := io.WriteString(w, "The CA has issued nothing yet.\n")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FOR\tNAMES\tSTATUS\tUNTIL\tSERIAL")
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Role, console.Harmless(strings.Join(c.Names, ", ")), c.Status, c.NotAfter.Format(time.DateOnly), c.Serial)
	}
	return table.Flush()
}

// caShowCommand shows certificates whole.
func caShowCommand(f *caFlags) *cobra.Command {
	var format reportFormat
	command := &cobra.Command{
		Use:   "show [NAME|SERIAL|FILE]",
		Short: "Show a certificate: who it is for, until when, and what is wrong with it",
		Long: `Show a certificate: who it is for, until when, and what is wrong with it. Without an
argument it is the CA's own. A FILE may be anybody's, as one that openssl made.`,
		Example: `  postern ca show
  postern ca show alice@example.com
  postern ca show ./server-crt.pem`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: f.completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			all, err := f.show(args)
			if err != nil {
				return err
			}
			return report(format, f.streams.Out, all, printCertificates)
		},
	}
	f.register(command.Flags())
	format.register(command)
	return command
}

func (f *caFlags) show(args []string) ([]certificateReport, error) {
	now := time.Now()
	ca, err := f.open()
	if len(args) == 0 {
		if err != nil {
			return nil, err
		}
		return f.described([]*x509.Certificate{ca.Certificate}, now), nil
	}
	if err == nil {
		var found []authority.Record
		if found, err = ca.Find(args[0]); err == nil {
			all := make([]certificateReport, len(found))
			for i, r := range found {
				all[i] = reportOf(r, now)
			}
			return all, nil
		}
	}
	if !exists(args[0]) {
		return nil, err
	}
	certificates, err := authority.ReadCertificates(args[0])
	if err != nil {
		return nil, err
	}
	return f.described(certificates, now), nil
}

// described are certificates that no CA of ours knows.
func (f *caFlags) described(certificates []*x509.Certificate, now time.Time) []certificateReport {
	all := make([]certificateReport, len(certificates))
	for i, c := range certificates {
		all[i] = reportOf(authority.Record{Certificate: c}, now)
		if c.IsCA {
			all[i].Role = "CA"
		}
		all[i].Defects = authority.Defects(c, now)
	}
	return all
}

func printCertificates(w io.Writer, all []certificateReport) error {
	var text strings.Builder
	for i, c := range all {
		if i > 0 {
			text.WriteString("\n")
		}
		row := func(label, value string) {
			if value != "" {
				fmt.Fprintf(&text, "%-12s %s\n", label, console.Harmless(value))
			}
		}
		row("Names", strings.Join(c.Names, ", "))
		row("For", c.Role)
		status := c.Status
		if c.RevokedAt != nil {
			status += fmt.Sprintf(" on %s (%s)", c.RevokedAt.Format(time.DateOnly), c.Reason)
		}
		row("Status", status)
		row("Valid", c.NotBefore.Format(time.RFC3339)+" to "+c.NotAfter.Format(time.RFC3339))
		row("Issuer", c.Issuer)
		row("Key", c.Key)
		row("Usages", strings.Join(c.Usages, ", "))
		row("Serial", c.Serial)
		row("Fingerprint", c.Fingerprint)
		for _, defect := range c.Defects {
			row("Defect", defect)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
