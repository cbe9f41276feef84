package resource

// Table lists every kind of resource, in the order in which documents show them.
func Table() []Definition {
	return []Definition{
		APIKeys().Definition,
		Credentials().Definition,
		SSHCredentials().Definition,
		BotUsers().Definition,
		ServiceUsers().Definition,
		IPPolicies().Definition,
		Vaults().Definition,
		VaultSecrets().Definition,
		TLSCertificates().Definition,
		CertificateAuthorities().Definition,
		SSHCertificateAuthorities().Definition,
		SSHHostCertificates().Definition,
		SSHUserCertificates().Definition,
		Endpoints().Definition,
		TunnelSessions().Definition,
		Tunnels().Definition,
		IPPolicyRules().Definition,
		IPRestrictions().Definition,
		ReservedDomains().Definition,
		EventDestinations().Definition,
		EventSubscriptions().Definition,
		ReservedAddrs().Definition,
		AgentIngresses().Definition,
		ApplicationUsers().Definition,
		ApplicationSessions().Definition,
		Myself().Definition,
	}
}
