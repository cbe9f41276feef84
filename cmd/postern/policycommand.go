package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
)

// policyCommand looks at traffic policies without a server.
func policyCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "policy",
		Short: "Check and try traffic policies, without a server",
		Args:  subcommandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(policyCheckCommand(streams), policyTestCommand(streams), policyDryRunCommand(streams))
	return command
}

// policyTarget is the endpoint that a policy is checked for, by flags.
type policyTarget struct {
	scheme string
	cloud  bool
}

func (p *policyTarget) register(command *cobra.Command) {
	command.Flags().StringVar(&p.scheme, "scheme", "https", "`SCHEME` of the endpoint: https, http, tcp or tls")
	command.Flags().BoolVar(&p.cloud, "cloud", false, "it is a cloud endpoint: nobody stands behind, so the policy must answer whatever comes")
}

func (p *policyTarget) target() (policy.Target, error) {
	return policyTargetOf(postern.Scheme(p.scheme), p.cloud)
}

// policyTargetOf is an endpoint of a scheme, whose heads the edge sends.
func policyTargetOf(scheme postern.Scheme, last bool) (policy.Target, error) {
	if !slices.Contains([]postern.Scheme{postern.HTTPS, postern.HTTP, postern.TCP, postern.TLS}, scheme) {
		return policy.Target{}, postern.Errorf(postern.CodeFlagInvalid, "the scheme %q is not one of https, http, tcp, tls", scheme)
	}
	return policy.Target{
		Scheme: scheme, Last: last,
		Editable: policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader},
	}, nil
}

// readPolicy reads a file, or what comes on stdin for "-", and gives a name for messages.
// It reads no more than one byte above what a policy may have.
func (s ioStreams) readPolicy(path string) (text, name string, err error) {
	from, name := s.In, "stdin"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", path, postern.Errorf(postern.CodeFileUnreadable, "the traffic policy cannot be read: %v", err).Because(err)
		}
		defer file.Close()
		from, name = file, path
	}
	read, err := io.ReadAll(io.LimitReader(from, policy.MaxText+1))
	if err != nil {
		return "", name, postern.Errorf(postern.CodeFileUnreadable, "the traffic policy cannot be read: %v", err).Because(err)
	}
	return string(read), name, nil
}

// compilePolicy compiles a text. What is wrong with it is told on w, all of it.
func compilePolicy(w io.Writer, text, name string, target policy.Target) (*policy.Program, error) {
	program, err := policy.Compile(text, target)
	if problems, ok := err.(policy.Problems); ok { //nolint:errorlint // Compile wraps nothing
		if err := writeProblems(w, name, problems); err != nil {
			return nil, err
		}
		return nil, errToldAlready
	}
	return program, err
}

// writePlaced writes a line about a place in a policy.
func writePlaced(text *strings.Builder, name, kind string, p policy.Problem) {
	place := name
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", name, p.Line, p.Column)
	}
	where := p.Where
	if where != "" {
		where += ": "
	}
	fmt.Fprintf(text, "%s: %s: %s%s\n", console.Harmless(place), kind, console.Harmless(where), console.Harmless(p.Message))
}

// writeWarnings writes one line for each.
func writeWarnings(w io.Writer, name string, warnings []policy.Problem) error {
	var text strings.Builder
	for _, p := range warnings {
		writePlaced(&text, name, "warning", p)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// writeProblems writes one line for each, as compilers do, and then what to do about each
// code.
func writeProblems(w io.Writer, name string, problems policy.Problems) error {
	var text, advice strings.Builder
	var told []postern.Code
	for _, p := range problems {
		writePlaced(&text, name, string(p.Code), p)
		if !slices.Contains(told, p.Code) {
			told = append(told, p.Code)
			fmt.Fprintf(&advice, "%s: %s\n  %s\n", p.Code, p.Code.Entry().Fix, docsPage(p.Code))
		}
	}
	_, err := io.WriteString(w, text.String()+"\n"+advice.String())
	return err
}
