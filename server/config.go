package server

import (
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/server/pki/acme"
)

// Config is everything that an operator decides. Load makes one from a file, the
// environment and flags; the table in settings.go says what each key means, what
// it may hold and whether it changes while the server runs.
type Config struct {
	// Path is the file that Load read, "" for none. Reloads read it again.
	Path string
	// Development is set when neither a file nor a domain was given.
	Development bool
	// Notes are remarks on keys that were accepted but do nothing yet.
	Notes []string

	Domain          postern.Hostname
	EndpointsDomain postern.Hostname // "" is Domain
	DataDir         string
	Database        postern.Secret // a PostgreSQL URL; "" is SQLite in DataDir
	Region          string         // the server's own: the first of Regions
	Regions         []Region       // where it is reached
	RequireProof    bool           // of domains outside our own
	APIOrigins      []string       // whose pages may use the REST API
	Sealing         Sealing

	Listen         Listen
	ProxyProtocol  []string // names of the listeners that require PROXY protocol
	TrustedProxies []netip.Prefix
	Public         Public
	TLS            TLS
	ACME           ACME
	DNS            DNS
	Gateways       Gateways
	Geo            Geo
	Outcalls       Outcalls
	SSH            SSH
	HTTP1          string // HTTP1Relay or HTTP1Standard
	Limits         Limits
	Timeouts       Timeouts
	AccessLog      string // off, stdout, stderr or a file's path
	Log            Log

	places map[string]string // where the file sets a key: "postern.yml:3:9"
	stamp  fileStamp         // of the file, from before it was read
}

// Listen holds where the server listens. "" switches a listener off.
type Listen struct {
	HTTPS    string
	HTTP     string
	Agent    string    // for agents only, beside HTTPS
	SSH      string    // for SSH clients only, beside HTTPS
	DNS      string    // resolvers, over UDP and TCP
	TCP      string    // the host on which TCP and UDP endpoints listen
	TCPPorts PortRange // the ports of TCP endpoints
	UDPPorts PortRange // the ports of UDP endpoints
	Admin    string    // metrics, health, debug
}

// Region is a place where the server is reached.
type Region struct {
	Name      string
	Addresses []netip.Addr
}

// DNS says what the server tells resolvers, and whom it asks itself.
type DNS struct {
	NameServers      []postern.Hostname // of the server's zones; none: ns1 to ns4 below Domain
	Resolvers        []netip.AddrPort   // none: the system's
	Issuers          []string           // CAA values for the server's zones; none: anybody
	AnswersPerSecond int                // of one kind to one network; 0: any number
}

// PortRange is First to Last, both included; the zero value is no port at all.
type PortRange struct{ First, Last uint16 }

// Contains tells whether the range has the port.
func (r PortRange) Contains(port uint16) bool {
	return port != 0 && r.First <= port && port <= r.Last
}

// Public holds the ports that people type, where they differ from the listening
// ones (a port forward, a load balancer). 0 is the listening port.
type Public struct{ HTTPS, HTTP uint16 }

// TLS says where the edge's certificates come from.
type TLS struct {
	Mode         string // ModeLocalCA, ModeFiles or ModeACME
	Certificates []CertificateFiles
}

// SSH says what SSH clients are shown.
type SSH struct {
	HostCertificates []string // files, for the keys in DataDir
}

// The certificate modes.
const (
	ModeLocalCA = "local_ca"
	ModeFiles   = "files"
	ModeACME    = "acme"
)

// Who serves HTTP/1.1.
const (
	HTTP1Relay    = "relay"
	HTTP1Standard = "standard" // net/http
)

// CertificateFiles are two PEM files that belong together.
type CertificateFiles struct{ Certificate, Key string }

// Gateways are the operator's rules for private gateways.
type Gateways struct {
	ListenAllow []allow.Place // where they may listen
	ProbeEvery  time.Duration // how long without traffic until a target is probed; 0: never
}

// Limits bound what visitors and agents can take.
type Limits struct {
	Connections           int // visitors' and agents' connections at once
	ConnectionsPerAddress int
	HeaderBytes           int // of one request's head
	HTTP2Streams          int // per visitor's connection
	LeastRate             int // bytes a second that a visitor must send or take; 0: none
	SessionsPerAccount    int
	// Account and Credential are the other limits of each account and credential that
	// has none of its own; Account.Sessions is SessionsPerAccount.
	Account, Credential postern.Limits
	EndpointsPerSession int
	Authentications     int // at once; others queue
	APIRequests         int // per account and minute
	APIConcurrent       int // per account
	FailuresPerMinute   int // authentication failures per address
}

// Timeouts bound waiting, never the length of a transfer that moves.
type Timeouts struct {
	Handshake      time.Duration // TLS, and the first bytes of a connection
	RequestHeader  time.Duration
	Idle           time.Duration // keep-alive between requests
	Patience       time.Duration // with a visitor below the least rate
	Transfer       time.Duration // a body or stream in which nothing moves
	ResponseHeader time.Duration // upstream's answer
	Authentication time.Duration
	Drain          time.Duration // at shutdown
	UpgradeDrain   time.Duration // after another process has taken over
}

// Log says how and how much the server logs, on standard error.
type Log struct{ Level, Format string }

// Default is the configuration of a file that sets nothing but the domain.
func Default() Config {
	return Config{
		DataDir: "/var/lib/postern",
		Region:  "local",
		Regions: []Region{{Name: "local"}},
		Listen: Listen{HTTPS: ":443", HTTP: ":80", TCPPorts: PortRange{20000, 29999}, UDPPorts: PortRange{20000, 29999},
			Admin: "127.0.0.1:9090"},
		TLS:      TLS{Mode: ModeLocalCA},
		ACME:     ACME{KeyType: acme.ECDSA, DNS: ACMEDNS{KeyAlgorithm: acme.DefaultTSIGAlgorithm, Wait: 5 * time.Second}},
		DNS:      DNS{AnswersPerSecond: 50},
		Gateways: Gateways{ListenAllow: allow.Loopback(), ProbeEvery: 30 * time.Second},
		HTTP1:    HTTP1Relay,
		Limits: Limits{Connections: 50_000, ConnectionsPerAddress: 2_000, HeaderBytes: 32 << 10,
			HTTP2Streams: 100, LeastRate: 64, SessionsPerAccount: 10_000, EndpointsPerSession: 200,
			Authentications: 32, APIRequests: 1200, APIConcurrent: 32, FailuresPerMinute: 60},
		Timeouts: Timeouts{Handshake: 10 * time.Second, RequestHeader: 10 * time.Second,
			Idle: 2 * time.Minute, Patience: 20 * time.Second, Transfer: 5 * time.Minute, ResponseHeader: 2 * time.Minute,
			Authentication: 10 * time.Second, Drain: 30 * time.Second, UpgradeDrain: time.Hour},
		AccessLog: "off",
		Log:       Log{Level: "info", Format: "json"},
	}
}

// Development is the configuration of a server that was told nothing: the domain
// localhost, loopback addresses and fixed high ports (so that URLs stay the same
// from run to run), a local CA and the database in dir.
func Development(dir string) Config {
	config := Default()
	config.Development = true
	config.Domain = "localhost"
	config.DataDir = dir
	config.Listen.HTTPS = "127.0.0.1:8443"
	config.Listen.HTTP = "127.0.0.1:8880"
	config.Log.Format = "console"
	return config
}

// NameServers are those that the server's zones are to be delegated to.
func (c Config) NameServers() []postern.Hostname {
	if len(c.DNS.NameServers) > 0 {
		return c.DNS.NameServers
	}
	var all []postern.Hostname
	for _, label := range []postern.Hostname{"ns1.", "ns2.", "ns3.", "ns4."} {
		all = append(all, label+c.Domain)
	}
	return all
}

// regions are the names of where the server is reached, its own first.
func (c Config) regions() []string {
	names := make([]string, len(c.Regions))
	for i, region := range c.Regions {
		names[i] = region.Name
	}
	return names
}

// BaseDomain is the domain below which names are assigned.
func (c Config) BaseDomain() postern.Hostname {
	if c.EndpointsDomain != "" {
		return c.EndpointsDomain
	}
	return c.Domain
}
