package resource

// Table lists every kind of resource, in the order in which documents show them.
func Table() []Definition {
	return []Definition{
		Myself().Definition,
		APIKeys().Definition,
		Credentials().Definition,
		SSHCredentials().Definition,
		BotUsers().Definition,
		ServiceUsers().Definition,
		Endpoints().Definition,
		TrafficPolicies().Definition,
		Tunnels().Definition,
		TunnelSessions().Definition,
		ReservedDomains().Definition,
		ReservedAddrs().Definition,
		AgentIngresses().Definition,
		TLSCertificates().Definition,
		CertificateAuthorities().Definition,
		IPPolicies().Definition,
		IPPolicyRules().Definition,
		IPRestrictions().Definition,
		Vaults().Definition,
		VaultSecrets().Definition,
		KubernetesOperators().Definition,
		PrivateGateways().Definition,
		PrivateGatewayTokens().Definition,
		EventDestinations().Definition,
		EventSubscriptions().Definition,
		SSHCertificateAuthorities().Definition,
		SSHHostCertificates().Definition,
		SSHUserCertificates().Definition,
		ApplicationUsers().Definition,
		ApplicationSessions().Definition,
	}
}
