package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/server/policy"
)

// checkedPolicy is what "policy check --json" prints.
type checkedPolicy struct {
	Valid    bool            `json:"valid"`
	Problems []policyProblem `json:"problems"`
	Warnings []policyWarning `json:"warnings"` // about what can be used, and may not be what somebody wants
}

type policyWarning struct {
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Where   string `json:"where,omitempty"`
	Message string `json:"msg"`
}

type policyProblem struct {
	Line    int          `json:"line,omitempty"` // from 1; neither where the whole text is meant
	Column  int          `json:"column,omitempty"`
	Where   string       `json:"where,omitempty"`
	Code    postern.Code `json:"error_code"`
	Message string       `json:"msg"`
	Fix     string       `json:"fix"`
}

func policyCheckCommand(streams ioStreams) *cobra.Command {
	target := &policyTarget{}
	var asJSON bool
	command := &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a traffic policy",
		Long: `Read a traffic policy, YAML or JSON, as the server does when an endpoint brings it, and
say everything that is wrong with it: line and column, code, and what to write. FILE is -
for what comes on the standard input. The exit status is 0 where the policy can be used,
with warnings or without.`,
		Example: "  postern policy check policy.yml\n  postern policy check policy.yml --scheme tcp\n  postern policy check --cloud --json - < policy.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := target.target()
			if err != nil {
				return err
			}
			text, name, err := streams.readPolicy(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return checkPolicyAsJSON(streams, text, at)
			}
			program, err := compilePolicy(streams.Out, text, name, at)
			if err != nil {
				return err
			}
			if err := writeWarnings(streams.Out, name, program.Warnings()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(streams.Out, "Valid traffic policy for %s endpoints: %s\n", at.Scheme, console.Harmless(name))
			return err
		},
	}
	target.register(command)
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON: valid, the problems, and the warnings")
	return command
}

func checkPolicyAsJSON(streams ioStreams, text string, at policy.Target) error {
	program, err := policy.Compile(text, at)
	problems, _ := err.(policy.Problems) //nolint:errorlint // Compile wraps nothing
	if err != nil && problems == nil {
		return err
	}
	found := checkedPolicy{Valid: err == nil, Problems: make([]policyProblem, len(problems)), Warnings: []policyWarning{}}
	if err == nil {
		for _, w := range program.Warnings() {
			found.Warnings = append(found.Warnings, policyWarning{w.Line, w.Column, w.Where, w.Message})
		}
	}
	for i, p := range problems {
		found.Problems[i] = policyProblem{p.Line, p.Column, p.Where, p.Code, p.Message, p.Code.Entry().Fix}
	}
	encoder := json.NewEncoder(streams.Out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(found); err != nil {
		return err
	}
	if !found.Valid {
		return errToldAlready
	}
	return nil
}
