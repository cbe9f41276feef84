package resource

import "time"

// CertificatePolicy has the server get and renew certificates by itself. In a change, an
// empty one, or null, ends that.
type CertificatePolicy struct {
	Authority      string `json:"authority" doc:"Who issues the certificates: letsencrypt."`
	PrivateKeyType string `json:"private_key_type" doc:"The kind of key: ecdsa or rsa."`
}

// CertificateStatus says how far the server is with a CertificatePolicy.
type CertificateStatus struct {
	RenewsAt        *time.Time       `json:"renews_at" doc:"When the certificate will be renewed; null while there is none."`
	ProvisioningJob *ProvisioningJob `json:"provisioning_job" doc:"The work on a certificate that is not there yet; null once it is."`
}

// ProvisioningJob is the work on a certificate.
type ProvisioningJob struct {
	ErrorCode *string    `json:"error_code" doc:"What went wrong the last time: DNS_ERROR or INTERNAL_ERROR; null for nothing."`
	Msg       string     `json:"msg" doc:"The same for people."`
	StartedAt time.Time  `json:"started_at" doc:"When the certificate was asked for."`
	RetriesAt *time.Time `json:"retries_at" doc:"When it is tried again; null if no time is set."`
}
