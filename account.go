package postern

import "time"

// Account owns everything else: credentials, names, endpoints.
type Account struct {
	ID        AccountID
	Name      string
	CreatedAt time.Time
}

// Credential lets an agent connect. Its token is never kept: Verifier is the
// SHA-256 of the token's secret half.
type Credential struct {
	ID          CredentialID
	Account     AccountID
	Owner       UserID
	Description string
	Metadata    string
	ACL         ACL
	Verifier    [32]byte
	Rotation    Rotation
	CreatedAt   time.Time
}

// Rotation says when a token was replaced by a new one, and for how long the one before
// it is good beside it. The zero value is a token that never was.
type Rotation struct {
	At       time.Time // of the last one
	Previous [32]byte  // the verifier before
	Until    time.Time // from then on the previous one is no good; zero for none
}

// Overlaps tells whether the previous token is good at that time.
func (r Rotation) Overlaps(at time.Time) bool { return at.Before(r.Until) }

// Session is one live connection of an agent. Sessions are never stored.
type Session struct {
	ID         SessionID
	Account    AccountID
	Credential CredentialID
	Agent      AgentInfo
	RemoteAddr string // "ip:port" the agent dialled from
	Transport  string // "ngrok/2", "postern/1", …
	Region     string
	StartedAt  time.Time
}

// AgentInfo is what an agent says of itself. All of it is untrusted text.
type AgentInfo struct {
	ClientType string
	UserAgent  string
	Version    string
	OS, Arch   string
	Hostname   string
	Metadata   string
}
