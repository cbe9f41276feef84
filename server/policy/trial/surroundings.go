package trial

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/policy"
)

// Surroundings are what a server would have for a policy: the account's vaults and IP
// policies, what is known of addresses, and those whom policies ask. What is left out is
// not there.
type Surroundings struct {
	Secrets    map[string]map[string]postern.Secret `yaml:"secrets"` // by vault and name
	Geo        Geo                                  `yaml:"geo"`
	IPPolicies map[string]Networks                  `yaml:"ip_policies"` // by id
	Responses  map[string]Answers                   `yaml:"responses"`   // of those whom policies ask, by URL
}

// Networks are the rules of an IP policy: networks, or addresses alone.
type Networks struct {
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
}

// ReadSurroundings reads a file that has nothing else.
func ReadSurroundings(name string) (Surroundings, error) {
	var s Surroundings
	text, err := os.ReadFile(name)
	if err != nil {
		return s, postern.Errorf(postern.CodeFileUnreadable, "the surroundings of the policy cannot be read: %v", err).Because(err)
	}
	if err := yaml.UnmarshalWithOptions(text, &s, yaml.Strict()); err != nil {
		return s, postern.Errorf(postern.CodeConfigInvalid, "%s: %v", name, err)
	}
	s.Geo.beside(filepath.Dir(name))
	return s, nil
}

// Over is s, and what other has beside it.
func (s Surroundings) Over(other Surroundings) Surroundings {
	return Surroundings{
		Secrets: over(s.Secrets, other.Secrets), Geo: s.Geo.over(other.Geo),
		IPPolicies: over(s.IPPolicies, other.IPPolicies), Responses: over(s.Responses, other.Responses),
	}
}

func over[V any](own, other map[string]V) map[string]V {
	all := maps.Clone(other)
	if all == nil {
		return own
	}
	maps.Copy(all, own)
	return all
}

// World makes what policies may use of s. Answers are counted from the first on by each
// world for itself. Errors are CodeConfigInvalid.
func (s Surroundings) World() (*policy.World, error) {
	lists := make(map[string]*access.List, len(s.IPPolicies))
	for id, networks := range s.IPPolicies {
		list, err := networks.list()
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "ip_policies.%s: %s", id, postern.AsError(err).Message)
		}
		lists[id] = list
	}
	callers, err := newAnswering(s.Responses)
	if err != nil {
		return nil, err
	}
	w := &policy.World{Calls: callers, Secret: s.secret}
	w.Addresses = func(_ postern.AccountID, id string) (*access.List, bool) {
		list, found := lists[id]
		return list, found
	}
	if w.Places, err = s.Geo.places(); err != nil {
		return nil, err
	}
	return w, nil
}

func (s Surroundings) secret(_ context.Context, _ postern.AccountID, vault, name string) (postern.Secret, error) {
	value, found := s.Secrets[vault][name]
	if !found {
		return "", postern.Errorf(postern.CodeNotFound, "secrets has no %q in a vault %q", name, vault)
	}
	return value, nil
}

func (n Networks) list() (*access.List, error) {
	rules := make([]access.Rule, 0, len(n.Allow)+len(n.Deny))
	for i, text := range append(append([]string{}, n.Allow...), n.Deny...) {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		rules = append(rules, access.Rule{Network: network, Deny: i >= len(n.Allow)})
	}
	return access.NewList(rules), nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	network, ok := access.ParseNetwork(text)
	if !ok {
		return network, postern.Errorf(postern.CodeConfigInvalid, "%q is neither an address nor a network such as 192.0.2.0/24", text)
	}
	return network.Masked(), nil
}
