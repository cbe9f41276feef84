package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// CertificateJob is a certificate that the server gets by itself, and keeps renewed: what
// it is for, how far the work is, and when it goes on. Its account is empty for what is
// the server's own.
type CertificateJob struct {
	Meta
	Kind    JobKind
	Subject string           // the id of the reserved domain or agent ingress, "" for the others
	Name    postern.Hostname // there is one job for each kind and name
	KeyType string

	// Certificate is the id of the account's TLS certificate that is in force, "" for none.
	// The server's own certificates lie here instead: the chain as PEM, and its key, PKCS #8
	// and sealed.
	Certificate string
	Chain       string
	PrivateKey  []byte

	Directory           string    // where the certificate in force is from
	NotBefore, NotAfter time.Time // of it; zero without one

	// RenewsAt is when the certificate is to be renewed, CheckAt when its authority is next
	// asked for another time.
	RenewsAt, CheckAt time.Time

	DueAt     time.Time // when something is to be done
	StartedAt time.Time // when the work began that is under way; zero for none
	Attempts  int       // that have failed since
	ErrorCode string    // what the API shows of the last one: DNS_ERROR, INTERNAL_ERROR or ""
	Message   string
	RetriesAt time.Time // when it is tried again; zero: right away, or not at all

	// LeasedBy is the process that does the work, until LeasedUntil.
	LeasedBy    string
	LeasedUntil time.Time

	UsedAt time.Time // when the name was last bound, of a JobEndpoint
}

// JobKind is what a certificate is for.
type JobKind string

// The kinds of jobs.
const (
	JobDomain   JobKind = "domain"   // a reserved domain
	JobIngress  JobKind = "ingress"  // an agent ingress, with its regions
	JobServer   JobKind = "server"   // a name of the server's own, or all of them with one wildcard
	JobEndpoint JobKind = "endpoint" // a name that somebody has bound without reserving it
)

// ACMEAccount is the server's account with an ACME directory.
type ACMEAccount struct {
	Meta
	Directory  string // URL
	Email      string
	EABKeyID   string // of the external account that it is bound to; "" for none
	Location   string // the account's URL; "" before the directory has given it one
	PrivateKey []byte // PKCS #8, sealed
}

// ACMEChallenge is a proof that the server has prepared for an authority to look at.
type ACMEChallenge struct {
	Meta
	Kind      string           // http-01, tls-alpn-01 or dns-01
	Name      postern.Hostname // the host, or the name of the TXT record
	Token     string           // of http-01
	Value     string           // the key authorization; for dns-01 the text of the record
	ExpiresAt time.Time        // nobody looks after that
}
