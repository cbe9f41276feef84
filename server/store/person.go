package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// Passkey is a public key with which a person signs in: a credential record of WebAuthn
// level 3, §4, with all that libraries for it keep.
type Passkey struct {
	Meta         // Description is the person's name for it
	User         postern.UserID
	CredentialID []byte // unique
	PublicKey    []byte // COSE
	SignCount    uint32
	CloneWarning bool
	Flags        byte     // of the authenticator data
	Transports   []string // "usb", "internal", …
	Attachment   string   // "platform", "cross-platform" or ""
	AAGUID       []byte

	AttestationType   string
	AttestationFormat string
	Attestation       PasskeyAttestation

	UsedAt time.Time // zero: never
}

// PasskeyAttestation is what an authenticator said of itself, to be checked later.
type PasskeyAttestation struct {
	Type               string `json:"type"`
	Format             string `json:"format"`
	ClientDataJSON     []byte `json:"client_data_json"`
	ClientDataHash     []byte `json:"client_data_hash"`
	AuthenticatorData  []byte `json:"authenticator_data"`
	PublicKeyAlgorithm int64  `json:"public_key_algorithm"`
	Object             []byte `json:"object"`
}

// Invitation lets whoever has its token become a person of an account, once. Like other
// tokens it is never kept: Verifier is the SHA-256 of its secret half.
type Invitation struct {
	Meta
	Email      string
	Role       postern.Role
	Inviter    postern.UserID // "" for the server's operator
	Verifier   [32]byte
	ExpiresAt  time.Time
	AcceptedAt time.Time      // zero: not yet
	User       postern.UserID // who it made; "" before
}
