package service

import (
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
)

// May tells whether the caller's role allows an action; else it says why not. It is for
// what is no use case of a Service, such as what is live.
func (c Caller) May(a postern.Action) error { return c.may(a) }

// TunnelSession shows an agent's session.
func (s *Service) TunnelSession(session postern.Session) resource.TunnelSession {
	address := session.RemoteAddr
	if at, err := netip.ParseAddrPort(address); err == nil {
		address = at.Addr().Unmap().String()
	}
	return resource.TunnelSession{
		AgentVersion: session.Agent.Version,
		Credential:   s.refTo(credentialsOf(session.Credential), string(session.Credential)),
		ID:           string(session.ID), IP: address, Metadata: session.Agent.Metadata, OS: session.Agent.OS,
		Region: session.Region, StartedAt: resource.Moment(session.StartedAt), Transport: session.Transport,
		URI: s.uri(resource.TunnelSessions().Definition, string(session.ID)),
	}
}

// credentialsOf is the collection that a session's credential is in.
func credentialsOf(id postern.CredentialID) string {
	if isSSHCredential(id) {
		return "ssh_credentials"
	}
	return "credentials"
}

// Tunnel shows an endpoint that an agent has online.
func (s *Service) Tunnel(e postern.Endpoint) resource.Tunnel {
	return resource.Tunnel{
		ID: TunnelID(e.ID), PublicURL: s.publicURL(e.URL), StartedAt: resource.Moment(e.StartedAt),
		Metadata: e.Metadata, Proto: string(e.URL.Scheme), Region: s.region(),
		TunnelSession: s.refTo("tunnel_sessions", string(e.Session)),
		Endpoint:      &resource.Ref{ID: string(e.ID), URI: s.apiURL + "/endpoints/" + string(e.ID)},
		Labels:        map[string]string{}, Backends: []resource.Ref{}, ForwardsTo: e.ForwardsTo,
	}
}

// TunnelID is the id of an endpoint seen as a tunnel: only the prefix differs.
func TunnelID(id postern.EndpointID) string {
	return "tn_" + strings.TrimPrefix(string(id), "ep_")
}

// refTo points to a resource of a collection.
func (s *Service) refTo(collection, id string) resource.Ref {
	return resource.Ref{ID: id, URI: s.apiURL + "/" + collection + "/" + id}
}

// publicURL is what visitors type.
func (s *Service) publicURL(u postern.URL) string { return u.Public(s.publicPort(u.Scheme)) }
