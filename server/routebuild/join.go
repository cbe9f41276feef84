package routebuild

import (
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// joint is a URL that endpoints of two sources share.
type joint struct {
	route  route.Route
	owners [2]route.Owner
	turn   atomic.Uint64
}

// pair says of which two routes a joint is.
type pair [2]*route.Route

// join puts the routes of agents' and of cloud endpoints together. Where both have routes
// of one key, they are a pool if both are for one URL of one account; else the agents' is
// served, and the log tells of the other. Joints of routes that are still there stay what
// they are.
func (b *Builder) join(agents, clouds []*route.Route) []*route.Route {
	if len(clouds) == 0 {
		b.joints = nil
		return agents
	}
	joined := make([]*route.Route, 0, len(agents)+len(clouds))
	byKey := make(map[route.Key]*route.Route, len(clouds))
	for _, r := range clouds {
		byKey[route.KeyOf(r.URL)] = r
	}
	joints := make(map[pair]*joint)
	for _, r := range agents {
		key := route.KeyOf(r.URL)
		other := byKey[key]
		if other == nil {
			joined = append(joined, r)
			continue
		}
		delete(byKey, key)
		joined = append(joined, b.meet(joints, r, other))
	}
	b.joints = joints
	for _, r := range byKey {
		joined = append(joined, r)
	}
	return joined
}

// meet gives the route of two of one key, of which first counts where both cannot.
func (b *Builder) meet(joints map[pair]*joint, first, second *route.Route) *route.Route {
	if first.URL != second.URL || first.Account != second.Account {
		b.config.Logger.Error("an endpoint is not served: another one has its URL",
			slog.String("endpoint", second.URL.String()), slog.Any("account", second.Account), slog.String("other", first.URL.String()))
		return first
	}
	at := pair{first, second}
	j := b.joints[at]
	if j == nil {
		j = &joint{owners: [2]route.Owner{first.Owner, second.Owner}}
		j.route.URL, j.route.Account, j.route.Meter = first.URL, first.Account, first.Meter
		j.route.Termination, j.route.MutualTLS = first.Termination, first.MutualTLS
		j.route.CertificatePEM, j.route.Key = first.CertificatePEM, first.Key
		j.route.Policies = union(first.Policies, second.Policies)
		if j.route.Pages = first.Pages; j.route.Pages == nil {
			j.route.Pages = second.Pages
		}
		j.route.Owner = j
	}
	joints[at] = j
	return &j.route
}

// union is the policies of both, where an empty list stands for members without one.
func union(first, second []*policy.Program) []*policy.Program {
	var all []*policy.Program
	for _, some := range [][]*policy.Program{first, second} {
		if len(some) == 0 {
			some = []*policy.Program{nil}
		}
		for _, program := range some {
			if !slices.ContainsFunc(all, program.Same) {
				all = append(all, program)
			}
		}
	}
	return all
}

// Pick implements route.Owner: each owner gets its turns as often as it has members.
func (j *joint) Pick(skip func(route.Member) bool) (route.Member, error) {
	first, second := size(j.owners[0]), size(j.owners[1])
	from := 0
	if j.turn.Add(1)%(first+second) >= first {
		from = 1
	}
	if m, err := j.owners[from].Pick(skip); err == nil {
		return m, nil
	}
	return j.owners[1-from].Pick(skip)
}

// Len is how many members there are.
func (j *joint) Len() int { return int(size(j.owners[0]) + size(j.owners[1])) } //nolint:gosec // of two lengths

// size is how many members an owner has, 1 where it does not say.
func size(o route.Owner) uint64 {
	if sized, ok := o.(interface{ Len() int }); ok {
		return uint64(max(1, sized.Len())) //nolint:gosec // not negative
	}
	return 1
}

var _ route.Owner = (*joint)(nil)
