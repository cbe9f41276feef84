package resource

// AgentIngress is a domain of the account's by which its agents reach the server: a
// firewall that lets them out needs to know no other.
type AgentIngress struct {
	Identity
	Notes
	Domain                      string             `json:"domain" doc:"The domain."`
	NSTargets                   []string           `json:"ns_targets" doc:"The name servers that the domain is to be delegated to."`
	RegionDomains               []string           `json:"region_domains" doc:"The names that agents can connect to, one for each region of the server."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy" doc:"How the server gets a certificate for these names; null for one from its own authority."`
	CertificateManagementStatus *CertificateStatus `json:"certificate_management_status" doc:"How far it is with that; null without a policy."`
}

// AgentIngressCreate makes an AgentIngress.
type AgentIngressCreate struct {
	Domain                      string             `json:"domain,omitzero" doc:"A domain outside the server's own, such as connect.example.com."`
	Description                 string             `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                    string             `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy,omitzero" doc:"How the server is to get a certificate, with an rsa key unless it says otherwise."`
}

// AgentIngressUpdate changes an AgentIngress; what is nil stays.
type AgentIngressUpdate struct {
	Description                 *string            `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                    *string            `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy,omitzero" api:"nullable" doc:"How the server is to get a certificate; null for one from its own authority."`
}

// AgentIngresses are the account's ingresses.
func AgentIngresses() Collection[AgentIngress, AgentIngressCreate, AgentIngressUpdate] {
	return Define[AgentIngress, AgentIngressCreate, AgentIngressUpdate](Definition{
		Name: "agent_ingresses", Singular: "agent ingress", ListKey: "ingresses", Prefixes: []string{"agin"}, Operations: All,
		Routes: []Route{check("the NS records of the domain, and the names below it,")},
		Doc:    "A domain by which the account's agents reach the server, and nobody else's.",
	})
}
