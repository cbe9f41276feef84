package main

import (
	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// policySurroundings is what a policy finds in a trial, by flags.
type policySurroundings struct{ with []string }

func (p *policySurroundings) register(command *cobra.Command) {
	command.Flags().StringArrayVar(&p.with, "with", nil, "`FILE` of what the policy finds: secrets, geo, ip_policies, responses; may be repeated")
}

// world is what own and the files have; own counts before them, and later files before
// earlier ones.
func (p *policySurroundings) world(own trial.Surroundings) (*policy.World, error) {
	all := trial.Surroundings{}
	for _, name := range p.with {
		read, err := trial.ReadSurroundings(name)
		if err != nil {
			return nil, err
		}
		all = read.Over(all)
	}
	return own.Over(all).World()
}
