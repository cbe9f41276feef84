package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// AgentIngress is a domain of an account's by which its agents, and nobody else's, reach
// the server.
type AgentIngress struct {
	Meta
	Domain      postern.Hostname
	Policy      CertificatePolicy
	PolicySince time.Time // as a ReservedDomain's
}

// ReservedAddr is a TCP address that an account holds until it gives it up.
type ReservedAddr struct {
	Meta
	Host   postern.Hostname
	Port   uint16
	Region string
}
