package control

import (
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
)

// portHost is the host of all endpoints of a scheme that are told apart by port.
func (c *Control) portHost(scheme postern.Scheme) postern.Hostname {
	return postern.Hostname(scheme) + "." + c.config.Domain
}

// base is the domain below which names are assigned.
func (c *Control) base() postern.Hostname {
	if c.config.EndpointsDomain != "" {
		return c.config.EndpointsDomain
	}
	return c.config.Domain
}

// checkHost tells whether a name can be an endpoint's at all, whoever asks. Whether one
// that is not below a domain of ours is the account's, the service knows.
func (c *Control) checkHost(host postern.Hostname) error {
	if host == c.config.Domain || host == c.base() {
		return postern.Errorf(postern.CodeDomainForeign, "%s is the server's own domain; ask for a name below it, such as app.%s", host, host)
	}
	below := c.belowOwn(host)
	if below == "" {
		return nil
	}
	if below == "*" {
		return postern.Errorf(postern.CodeNameReserved,
			"%s would cover every name of this server; ask for a narrower wildcard, such as *.team.%s", host, host.Parent())
	}
	if label := below[strings.LastIndexByte(below, '.')+1:]; host.Under(c.config.Domain) && service.Reserved(label) {
		return postern.Errorf(postern.CodeNameReserved, "%s: the label %q below %s is the server's own; choose another", host, label, c.config.Domain)
	}
	return nil
}

// belowOwn gives the part of host in front of our domain, "" where it is not below
// one. The longer domain is tried first: one may be below the other.
func (c *Control) belowOwn(host postern.Hostname) string {
	domains := []postern.Hostname{c.config.Domain, c.base()}
	slices.SortFunc(domains, func(a, b postern.Hostname) int { return len(b) - len(a) })
	for _, domain := range domains {
		if host.Under(domain) {
			return strings.TrimSuffix(string(host), "."+string(domain))
		}
	}
	return ""
}

// asker is whom an address is assigned to. Of what an agent says of itself, that goes
// into its installation which an update or another address leaves as it is.
func (s *session) asker(e *endpoint) service.Asker {
	agent := s.info.Agent
	return service.Asker{
		Credential: s.credential(), Endpoint: e.details.Name,
		Installation: strings.Join([]string{agent.Hostname, agent.OS, agent.Arch, agent.ClientType, agent.Metadata}, "\x00"),
	}
}
