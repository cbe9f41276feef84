package api

import (
	"net/http"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
)

// mostDryRun is how large a policy and its requests may be together, in bytes.
const mostDryRun = 256 << 10

// policyRoute tries policies that are not in force.
func (a *API) policyRoute() {
	a.handle("POST "+resource.TrafficPolicies().Path()+"/dry_run", func(c *call) (int, any, error) {
		if len(c.body) > mostDryRun {
			return 0, nil, postern.Errorf(postern.CodeBodyTooLarge, "the body has %d bytes; a dry run takes %d", len(c.body), mostDryRun)
		}
		var of resource.PolicyDryRunOf
		if err := decode(c.body, &of, nil); err != nil {
			return 0, nil, err
		}
		run, err := a.config.Service.DryRunPolicy(c, c.caller, of, a.config.Policy)
		return http.StatusOK, run, err
	})
}
