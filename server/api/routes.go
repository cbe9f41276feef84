package api

import "github.com/postern-dev/postern/resource"

// routes makes the routes of everything in resource.Table.
func (a *API) routes() {
	s := a.config.Service
	bind(a, resource.APIKeys(), s.APIKeys())
	changes(a, resource.APIKeys().Definition, "rotate", s.APIKeys().Rotate)
	bind(a, resource.Credentials(), s.Credentials())
	changes(a, resource.Credentials().Definition, "rotate", s.Credentials().Rotate)
	bind(a, resource.SSHCredentials(), s.SSHCredentials())
	a.applicationRoutes()
	a.selfRoute()
	bind(a, resource.BotUsers(), s.BotUsers())
	bind(a, resource.ServiceUsers(), s.ServiceUsers())
	bind(a, resource.IPPolicies(), s.IPPolicies())
	a.nameRoutes()
	bind(a, resource.Vaults(), s.Vaults())
	bind(a, resource.VaultSecrets(), s.VaultSecrets())
	bind(a, resource.TLSCertificates(), s.TLSCertificates())
	bind(a, resource.CertificateAuthorities(), s.CertificateAuthorities())
	bind(a, resource.SSHCertificateAuthorities(), s.SSHCertificateAuthorities())
	bind(a, resource.SSHHostCertificates(), s.SSHHostCertificates())
	bind(a, resource.SSHUserCertificates(), s.SSHUserCertificates())
	sublists(a, resource.Vaults().Definition, "secrets", resource.VaultSecrets().Definition, s.VaultContents, s.VaultSecrets().Stored())
	bindEndpoints(a)
	a.policyRoute()
	bindKubernetesOperators(a)
	bindPrivateGateways(a)
	bindTunnelSessions(a)
	bindTunnels(a)
	bind(a, resource.EventDestinations(), s.EventDestinations())
	bind(a, resource.EventSubscriptions(), s.EventSubscriptions())
	bindEventSources(a)
}
