package control

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/sshr"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/throttle"
)

// mostRemembered bounds what control remembers of each kind: about 1 MiB.
const mostRemembered = 8192

// Service is what control needs of the use cases. Errors are *postern.Error.
type Service interface {
	// Authenticate finds the credential of a token: CodeTokenMalformed,
	// CodeTokenInvalid, or CodeStoreUnavailable.
	Authenticate(ctx context.Context, token postern.Secret) (postern.Credential, postern.Account, error)
	// AuthenticateSSHKey does that for an SSH public key: CodeSSHKeyUnknown, or
	// CodeStoreUnavailable.
	AuthenticateSSHKey(ctx context.Context, key []byte) (postern.Credential, postern.Account, error)
	// ClaimName reserves a name for the credential's account, or notes that it is
	// still in use; CodeNameReserved when it is another's.
	ClaimName(ctx context.Context, c postern.Credential, host postern.Hostname) error
	// AssignName gives the stable name of an endpoint, another of its series while
	// taken says that one cannot be had.
	AssignName(ctx context.Context, a service.Asker, scheme postern.Scheme, domain postern.Hostname, taken func(postern.Hostname) bool) (postern.Hostname, error)
	// ClaimPort and AssignPort are the same for the ports of tcp and udp endpoints. want is 0
	// here: a port that is asked for by number is claimed.
	ClaimPort(ctx context.Context, c postern.Credential, scheme postern.Scheme, port uint16) error
	AssignPort(ctx context.Context, a service.Asker, scheme postern.Scheme, want, low, high uint16, taken func(uint16) bool) (uint16, error)
	// CheckCloud refuses what is registered where a cloud endpoint is.
	CheckCloud(account postern.AccountID, u postern.URL, pooling bool) error
	// KeepName and KeepPort note who has what was assigned online, so that it is given
	// the same again.
	KeepName(a service.Asker, host postern.Hostname)
	KeepPort(a service.Asker, scheme postern.Scheme, port uint16)
	// SessionStarted and SessionStopped record events.
	SessionStarted(ctx context.Context, s postern.Session) error
	SessionStopped(ctx context.Context, s postern.Session) error
}

// Cluster is where live endpoints are registered.
type Cluster interface {
	// Register takes an endpoint online until release is called. A *cluster.Conflict
	// says who has its URL.
	Register(l cluster.Live) (release func(), err error)
	// Holders lists who has a URL.
	Holders(u postern.URL) []cluster.Live
	// Forget notes that a URL went offline on purpose, so that nobody waits for it.
	Forget(u postern.URL)
	// Find returns an endpoint that is online.
	Find(id postern.EndpointID) (cluster.Live, bool)
	// Update changes the details of a live endpoint.
	Update(id postern.EndpointID, change func(*postern.Endpoint)) error
}

// Routes makes what is registered reachable.
type Routes interface {
	// Sync returns once the edge routes by everything that was registered before
	// the call.
	Sync(ctx context.Context) error
}

// Ports opens and closes what tcp and udp endpoints are reached at. Each OpenPort that succeeded
// has one ClosePort; a listener lives as long as somebody has its port open, since a
// pool shares one. Where the agent may come back in a moment the port stays open as
// long as visitors wait for that.
type Ports interface {
	OpenPort(scheme postern.Scheme, port uint16) error // CodePortUnavailable
	ClosePort(scheme postern.Scheme, port uint16, mayReturn bool)
}

// Gateways are the private gateways of the server.
type Gateways interface {
	// Admit is link.Registrar's, for connectors: h.Gateway is not nil.
	Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error)
	// Check and Join are link.Consumer's, with who asks.
	Check(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort) error
	Join(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort, st link.Stream, accepted func() error) error
}

// PublicPorts are the ports that people type, 0 where there is no listener.
type PublicPorts struct{ HTTPS, HTTP uint16 }

// Port gives the public port of a scheme; 0 for tcp and udp, whose URLs hold theirs.
func (p PublicPorts) Port(s postern.Scheme) uint16 {
	switch s {
	case postern.HTTP:
		return p.HTTP
	case postern.HTTPS, postern.TLS:
		return p.HTTPS
	}
	return 0
}

// PortRange is First to Last, both included; First 0 means none.
type PortRange struct{ First, Last uint16 }

// Limits bound what agents can take. They may change while the server runs.
type Limits struct {
	SessionsPerAccount  int // where no Meters say otherwise
	EndpointsPerSession int
	FailuresPerMinute   int // per address
}

// Config is what a Control is made of. All but EndpointsDomain, Gateways, Certificates, Meters, Metrics and
// Banner must be given.
type Config struct {
	Service Service
	Cluster Cluster
	Routes  Routes
	Ports   Ports

	Domain          postern.Hostname
	EndpointsDomain postern.Hostname
	Public          PublicPorts
	TCPPorts        PortRange
	UDPPorts        PortRange
	Region          string
	Banner          string // a line that agents show
	Version         string // of this server, for agents' logs

	// Gateways admits the connectors of private gateways and joins their consumers; nil:
	// this server has none.
	Gateways Gateways

	// Authority tells, by an error, that an account has uploaded no such certificate
	// authority; nil: nobody has any.
	Authority func(ctx context.Context, account postern.AccountID, id string) error
	// Certificates certifies the keys of agents; nil: nobody does.
	Certificates Certificates

	// Policies compiles traffic policies; nil: endpoints have none.
	Policies *policy.Library

	// Access says from which addresses an account's agents may come, and whose agent
	// ingresses are; nil: from all, and there are none.
	Access *access.Current

	// SSHHostKeys are the server's, for SSH clients; it is asked at every connection. nil:
	// none are served.
	SSHHostKeys func() []ssh.Signer

	SigningKey      []byte // 32 random bytes; agents lose their names when it is lost
	Limits          Limits
	Meters          *quota.Meters // the limits of accounts and credentials; nil: none
	Authentications int           // at once; also how many binds use the store at once
	AuthTimeout     time.Duration

	Metrics prometheus.Registerer
	Logger  *slog.Logger
}

// Control admits and serves agents. Make one with New; all methods may be called
// from anywhere at any time.
type Control struct {
	config   Config
	limits   atomic.Pointer[Limits]
	sealer   sealer
	throttle *throttle.Throttle
	queue    *queue // of authentications
	places   *queue // of binds that need the store
	metrics  *metrics
	hub      native.Hub   // of our own agents' further connections
	ssh      *sshr.Server // nil where SSH clients are not served
	notices  sync.WaitGroup
	log      *slog.Logger

	mu       sync.Mutex
	sessions map[postern.SessionID]*session
	clients  map[client]*session
	accounts map[postern.AccountID]int
	revoked  *ledger.Ledger[postern.CredentialID, struct{}]
	changed  *ledger.Ledger[postern.CredentialID, change]

	roomAsked *ledger.Ledger[postern.AccountID, time.Time] // when an account's dead were last looked for
	answered  *ledger.Ledger[postern.SessionID, time.Time] // when a session last answered a ping
	trying    map[postern.URL]*search                      // who tries which address right now
}

// client is who a session belongs to: an agent's process, and which of its
// connections it is.
type client struct {
	id  string
	leg int
}

// New makes a Control. It starts nothing.
func New(config Config) *Control {
	c := &Control{
		config:   config,
		sealer:   sealer{key: config.SigningKey},
		throttle: throttle.New(time.Now),
		queue:    newQueue(config.Authentications),
		places:   newQueue(config.Authentications),
		metrics:  newMetrics(config.Metrics),
		log:      config.Logger,
		sessions: make(map[postern.SessionID]*session),
		clients:  make(map[client]*session),
		accounts: make(map[postern.AccountID]int),
		revoked:  ledger.New[postern.CredentialID, struct{}](mostRemembered),
		changed:  ledger.New[postern.CredentialID, change](mostRemembered),

		roomAsked: ledger.New[postern.AccountID, time.Time](mostRemembered),
		answered:  ledger.New[postern.SessionID, time.Time](mostRemembered),
		trying:    make(map[postern.URL]*search),
	}
	if config.SSHHostKeys != nil {
		c.ssh = sshr.New(sshr.Config{Gatekeeper: c, HostKeys: config.SSHHostKeys, Logger: c.log, GreetTime: config.AuthTimeout})
	}
	c.SetLimits(config.Limits)
	return c
}

// SetLimits changes the limits for whatever comes next; nobody is cut off.
func (c *Control) SetLimits(l Limits) { c.limits.Store(&l) }

// Region implements link.Registrar.
func (c *Control) Region() string { return c.config.Region }

// Interface guards.
var (
	_ link.Registrar  = (*Control)(nil)
	_ sshr.Gatekeeper = (*Control)(nil)
	_ Service         = (*service.Service)(nil)
)
