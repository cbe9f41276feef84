package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

func policyTestCommand(streams ioStreams) *cobra.Command {
	t := &policyTest{streams: streams}
	command := &cobra.Command{
		Use:   "test FILE CASES…",
		Short: "Hold a traffic policy to cases that say what is to become of requests",
		Long: `Hold a traffic policy to cases: requests, and what is to become of them. A file of cases
that has a policy of its own is held to that; FILE may be left out then. docs/policy.md
has a policy and its cases for every action.

Nothing is asked or sent. What an account and a server would have is what the cases say:
secrets, geo, ip_policies, and responses of those whom the policy asks; --with names a file
that has them for all cases. The exit status is 0 where all cases come out as they say.`,
		Example: "  postern policy test policy.yml cases.yml\n  postern policy test - cases.yml < policy.yml\n  postern policy test policies/*.yml",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return t.run(cmd.Context(), args) },
	}
	t.register(command)
	return command
}

// policyTest holds a policy to files of cases.
type policyTest struct {
	streams ioStreams
	policySurroundings
	text, name   string // of the policy that has no cases with it
	cases, wrong int
}

func (t *policyTest) run(ctx context.Context, args []string) error {
	var err error
	if t.text, t.name, err = t.streams.readPolicy(args[0]); err != nil {
		return err
	}
	// A policy has none of the fields that a file of cases has.
	if own, err := trial.Parse(t.name, []byte(t.text)); err != nil || own.Policy == "" {
		args = args[1:]
	} else {
		t.text = ""
	}
	if len(args) == 0 {
		return postern.Errorf(postern.CodeFlagInvalid, "there are no cases for %s; name a file that has some", t.name)
	}
	for _, file := range args {
		if err := t.hold(ctx, file); err != nil {
			return err
		}
	}
	told := fmt.Sprintf("%d cases, all as they should be.\n", t.cases)
	if t.wrong > 0 {
		told = fmt.Sprintf("%d of %d cases are not as they should be.\n", t.wrong, t.cases)
	}
	if _, err := fmt.Fprint(t.streams.Out, told); err != nil {
		return err
	}
	if t.wrong > 0 {
		return errToldAlready
	}
	return nil
}

// hold holds the policy to the cases of a file. It is compiled anew, so that what it
// counts begins at nothing.
func (t *policyTest) hold(ctx context.Context, file string) error {
	f, err := trial.ReadFile(file)
	if err != nil {
		return err
	}
	text, name := f.Policy, "the policy in "+file
	if text == "" {
		text, name = t.text, t.name
	}
	switch {
	case text == "" && t.text == "":
		return postern.Errorf(postern.CodeConfigInvalid, "%s has no policy; name the file of the policy before it", file)
	case len(f.Cases) == 0:
		return postern.Errorf(postern.CodeConfigInvalid, "%s has no cases", file)
	}
	at, err := policyTargetOf(f.Target, f.Last)
	if err != nil {
		return err
	}
	program, err := compilePolicy(t.streams.Out, text, name, at)
	if err != nil {
		return err
	}
	world, err := t.world(f.Surroundings)
	if err != nil {
		return err
	}
	for i, c := range f.Cases {
		if c.Name == "" {
			c.Name = fmt.Sprintf("case %d", i+1)
		}
		misses, err := missesOf(ctx, program, at, world, c)
		if err == nil {
			err = t.tell(file, c.Name, misses)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missesOf says in what a case comes out otherwise than it should, in sentences.
func missesOf(ctx context.Context, program *policy.Program, at policy.Target, world *policy.World, c trial.Case) ([]string, error) {
	if c.Want == nil {
		return []string{"it does not say what it wants; add want"}, nil
	}
	got, err := trial.Run(ctx, program, at, world, c)
	if err != nil {
		return []string{postern.AsError(err).Text()}, ctx.Err()
	}
	misses := got.Misses(c.Want)
	for _, step := range got.Steps {
		if step.Err != nil && len(misses) > 0 {
			misses = append(misses, fmt.Sprintf("%s: %s", step.Where, postern.AsError(step.Err).Text()))
		}
	}
	return misses, nil
}

func (t *policyTest) tell(file, name string, misses []string) error {
	t.cases++
	word := "ok  "
	if len(misses) > 0 {
		t.wrong++
		word = "FAIL"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s: %s\n", word, console.Harmless(file), console.Harmless(name))
	for _, miss := range misses {
		fmt.Fprintf(&text, "      %s\n", console.Harmless(miss))
	}
	_, err := fmt.Fprint(t.streams.Out, text.String())
	return err
}
