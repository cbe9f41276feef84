package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// SSHCredential is a public key with which SSH clients may bind endpoints. No two rows, of
// whatever account, have the same Fingerprint.
type SSHCredential struct {
	Meta
	Owner       postern.UserID
	PublicKey   string
	Fingerprint string // SHA256:…, as ssh-keygen prints it
	ACL         postern.ACL
}

// ApplicationUser is somebody who signed in at an endpoint.
type ApplicationUser struct {
	Meta
	Provider, ProviderURL, ProviderUserID string
	Username, Email, Name                 string
	LastActive, LastLogin                 time.Time
}

// ApplicationSession is one sign-in of an ApplicationUser.
type ApplicationSession struct {
	Meta
	User      string // an ApplicationUser's id
	PublicURL string
	Endpoint  postern.EndpointID
	Browser   Browser

	LastActive, ExpiresAt time.Time
}

// Browser is what is known of one.
type Browser struct {
	Raw, Name, Version, Device, OS, OSVersion string
	Address                                   string
	Location                                  *Location
}

// Location is where an address is said to be.
type Location struct {
	Country             string
	Latitude, Longitude float64
	Radius              int64 // kilometres
}
