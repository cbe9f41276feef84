package agent

import (
	"context"
	"log/slog"
	"strings"

	"github.com/postern-dev/postern/agent/session"
)

// checkRegions warns, once of each, of regions that configurations ask for and the
// server is not in: an old file's "region: us" has no other effect.
func (a *Agent) checkRegions(s session.Status) {
	here := s.Session.Region
	if s.State != session.Online || here == "" {
		return
	}
	a.mu.Lock()
	asked := []string{a.config.Region}
	for _, k := range a.known {
		asked = append(asked, k.config.Region)
	}
	var foreign []string
	for _, region := range asked {
		if region != "" && region != "auto" && !strings.EqualFold(region, here) && !a.foreign[region] {
			a.foreign[region] = true
			foreign = append(foreign, region)
		}
	}
	a.mu.Unlock()
	for _, region := range foreign {
		a.config.Logger.WarnContext(context.Background(), "the server has no such region; endpoints are in its own",
			slog.String("region", region), slog.String("server_region", here))
	}
}
