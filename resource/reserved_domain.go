package resource

import "net/http"

// ReservedDomain is a domain that the account holds, with all names below it, until it
// gives it up.
type ReservedDomain struct {
	Identity
	Notes
	Domain                      string             `json:"domain" doc:"The name, in A-labels; its first part may be *."`
	Region                      string             `json:"region" doc:"Always empty: domains belong to no region."`
	CNAMETarget                 *string            `json:"cname_target" doc:"Where the domain's CNAME record is to point; null for names below the server's own domain."`
	Certificate                 *Ref               `json:"certificate" doc:"The certificate that visitors are shown; null for the server's own."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy" doc:"How the server gets a certificate; null if it does not."`
	CertificateManagementStatus *CertificateStatus `json:"certificate_management_status" doc:"How far it is with that; null without a policy."`
	ACMEChallengeCNAMETarget    *string            `json:"acme_challenge_cname_target" doc:"Where the CNAME record of _acme-challenge is to point; null but for wildcards outside the server's own domain."`
	ResolvesTo                  []ResolvesTo       `json:"resolves_to" doc:"The points of presence that visitors are led to; empty for the nearest."`
	ErrorPages                  []ErrorPage        `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages; absent where there are none."`
	Maintenance                 Maintenance        `json:"maintenance,omitzero" doc:"Whether it is closed to visitors for a time; absent where there is nothing to say."`

	IsDev                      bool    `json:"is_dev" doc:"Always false."`
	ErrorRedirectURL           *string `json:"error_redirect_url" doc:"Always null."`
	HTTPEndpointConfiguration  *Ref    `json:"http_endpoint_configuration" api:"deprecated" doc:"Always null."`
	HTTPSEndpointConfiguration *Ref    `json:"https_endpoint_configuration" api:"deprecated" doc:"Always null."`
}

// ResolvesTo names a point of presence.
type ResolvesTo struct {
	Value string `json:"value" doc:"A region of the server, or global."`
}

// ReservedDomainCreate makes a ReservedDomain.
type ReservedDomainCreate struct {
	Domain                      string             `json:"domain,omitzero" doc:"The name, such as app.example.com or *.example.com; a single word is a name below the server's own domain."`
	Name                        string             `json:"name,omitzero" api:"deprecated" doc:"The old word for domain."`
	Region                      string             `json:"region,omitzero" api:"deprecated" doc:"Without effect."`
	Description                 string             `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                    string             `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CertificateID               string             `json:"certificate_id,omitzero" doc:"A certificate of the account's to show to visitors. It excludes a policy."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy,omitzero" doc:"How the server is to get a certificate. Without it and certificate_id, letsencrypt with an ecdsa key."`
	ResolvesTo                  []ResolvesTo       `json:"resolves_to,omitzero" doc:"The points of presence to lead visitors to; empty for the nearest."`
	ErrorPages                  []ErrorPage        `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages, up to 64 KiB together."`
	Maintenance                 *MaintenanceUpdate `json:"maintenance,omitzero" doc:"Closes it to visitors for a time."`
}

// ReservedDomainUpdate changes a ReservedDomain; what is nil stays.
type ReservedDomainUpdate struct {
	Description                 *string            `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                    *string            `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CertificateID               *string            `json:"certificate_id,omitzero" doc:"A certificate of the account's, which ends a policy; empty for none."`
	CertificateManagementPolicy *CertificatePolicy `json:"certificate_management_policy,omitzero" api:"nullable" doc:"How the server is to get a certificate, which takes an uploaded one away; null for not at all."`
	ResolvesTo                  *[]ResolvesTo      `json:"resolves_to,omitzero" doc:"The points of presence to lead visitors to; empty for the nearest."`
	ErrorPages                  *[]ErrorPage       `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages, all of them: others that were there go."`
	Maintenance                 *MaintenanceUpdate `json:"maintenance,omitzero" doc:"Closes it to visitors for a time, or opens it again; null takes all of it away."`
}

// ReservedDomains are the account's domains.
func ReservedDomains() Collection[ReservedDomain, ReservedDomainCreate, ReservedDomainUpdate] {
	return Define[ReservedDomain, ReservedDomainCreate, ReservedDomainUpdate](Definition{
		Name: "reserved_domains", Singular: "reserved domain", Prefixes: []string{"rd"}, Operations: All,
		Doc: "A domain that is the account's, with all names below it: endpoints of other accounts cannot have them.",
		Routes: []Route{
			check("the CNAME records of the domain and of its challenges, and CAA records,"),
			{Method: http.MethodDelete, Path: "/{id}/certificate_management_policy", Status: http.StatusNoContent,
				Doc: "Ends the policy, and takes the certificate away that the server got."},
			{Method: http.MethodDelete, Path: "/{id}/certificate", Status: http.StatusNoContent, Doc: "Takes an uploaded certificate away."},
		},
		Ignored: []string{"http_endpoint_configuration_id", "https_endpoint_configuration_id"},
	})
}
