package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/store"
)

const (
	// Reservation is for how long a name or port stays with its account after its last
	// use.
	Reservation = 30 * 24 * time.Hour

	// touchEvery is how exactly the time of last use is kept: writing it at every bind
	// would turn a herd of returning agents into a herd of writes.
	touchEvery = time.Hour

	// retention is for how long the outbox keeps events.
	retention = 30 * 24 * time.Hour

	sweepEvery = time.Hour
	retryEvery = time.Second

	minNameKey = 32
)

// Config is what a Service needs. Its store and bus outlive it.
type Config struct {
	Store store.Store
	Bus   *event.Bus

	// NameKey derives assigned names: 32 bytes or more, the same for the life of an
	// installation. Another key changes the names that are assigned from now on, not
	// those that the store remembers.
	NameKey []byte

	// Sealing has the keys for secrets in rows; nil: no method that needs one works.
	Sealing *seal.Keyring

	// Domains are those below which names are given; their reserved labels are not.
	Domains []postern.Hostname

	// APIURL is where the REST API is, without a slash at its end: URIs of resources
	// begin with it.
	APIURL string

	// PublicPort is the port at which visitors find endpoints of a scheme, 0 for tcp,
	// whose URLs hold theirs; nil: the schemes' own ports.
	PublicPort func(postern.Scheme) uint16

	// Regions are the names of where the server is reached, its own first.
	Regions []string

	// NameServers are those that zones of the server are to be delegated to; none: ns1 to
	// ns4 below the first of Domains.
	NameServers []postern.Hostname

	// Policies reads traffic policies; nil: with headers that only the edge may write.
	Policies *policy.Library

	// Certifies has the server get certificates for agent ingresses that have no policy,
	// as it does for its own names, with keys of this type; "": it does not.
	Certifies string

	// TCPPorts are the ports that TCP endpoints may have.
	TCPPorts PortRange

	// DNS is asked about domains that somebody wants to reserve; nil: nothing is asked,
	// and with ProveDomains nothing is proved.
	DNS DNS

	// ProveDomains has every account but a server's only one prove that a domain is its
	// own before it reserves it.
	ProveDomains bool

	// Checks is what checks of other people's DNS records need; the zero value has none.
	Checks RecordChecks

	// MaxKeys is how many valid credentials, and how many API keys, an account may have;
	// 0 means 20,000.
	MaxKeys int

	// Holders returns what agents have online where an endpoint with a URL would be; nil:
	// nothing.
	Holders func(postern.URL) []postern.Endpoint

	// InUse returns the endpoints that are online now: what is used without pause for
	// longer than its reservation is not given away, and a domain where another account is
	// online is not reserved. nil: none. It may be called at any time.
	InUse func() []postern.Endpoint

	// Gateways is what private gateways need.
	Gateways GatewayConfig

	// Operators signs the keys of Kubernetes operators; nil: none can have a binding.
	Operators OperatorSigner

	// Passwords hashes people's passwords; nil: at their ordinary cost.
	Passwords *password.Hasher

	// StoreTimeout is for how long the store may keep a caller waiting before the
	// Service goes on without it; 0 means 5 s.
	StoreTimeout time.Duration

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: no log
}

// Service is the use cases. Its methods may be called concurrently; those that take a
// context may block for as long as it or Config.StoreTimeout allows. Errors are
// *postern.Error.
type Service struct {
	store       store.Store
	bus         *event.Bus
	nameKey     []byte
	domains     []postern.Hostname
	apiURL      string
	places      []string
	checks      RecordChecks
	checking    chan struct{}
	trying      chan struct{} // policies
	nameServers []postern.Hostname
	certifies   string
	policies    *policy.Library
	dns         DNS
	tcpPorts    PortRange
	prove       bool
	inUse       func() []postern.Endpoint
	timeout     time.Duration
	maxKeys     int
	now         func() time.Time
	logger      *slog.Logger

	holders func(postern.URL) []postern.Endpoint
	clouds  *clouds

	publicPort func(postern.Scheme) uint16

	sealing *seal.Keyring
	sealed  []sealedTable

	gateways  gateways
	operators OperatorSigner
	passwords *password.Hasher
	guesses   *guesses

	known   *memory
	pending *backlog
	series  seriesReads

	// turn is held from before a transaction until its events are published, so that
	// the bus sees this process's events in the outbox's order.
	turn  chan struct{}
	doubt *doubt // whoever has the turn looks at it

	// generating is held while a key is made that takes long.
	generating chan struct{}

	retired  atomic.Bool
	stop     chan struct{}
	stopOnce sync.Once
	finished chan struct{}
}

// New reads what is known into memory and starts the goroutine that writes what waits.
// A database whose secrets are sealed with a key that Config.Sealing does not have is
// CodeSealingKeyMissing.
// The caller must Close the Service, before its store.
func New(ctx context.Context, c Config) (*Service, error) {
	if len(c.NameKey) < minNameKey {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the key that derives names has %d bytes, want at least %d", len(c.NameKey), minNameKey)
	}
	if len(c.Domains) == 0 {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "a server needs a domain to give names below")
	}
	if len(c.Regions) == 0 {
		c.Regions = []string{""}
	}
	if len(c.NameServers) == 0 {
		for n := range nameServers {
			c.NameServers = append(c.NameServers, postern.Hostname(fmt.Sprintf("ns%d.%s", n+1, c.Domains[0])))
		}
	}
	s := &Service{
		store: c.Store, bus: c.Bus, nameKey: c.NameKey, domains: c.Domains, apiURL: c.APIURL, places: c.Regions, nameServers: c.NameServers, certifies: c.Certifies, policies: cmp.Or(c.Policies, policy.NewLibrary(policy.Editable{})), checks: c.Checks, checking: make(chan struct{}, mostChecks), trying: make(chan struct{}, mostDryRuns), publicPort: c.PublicPort,
		tcpPorts: c.TCPPorts, dns: c.DNS, prove: c.ProveDomains,
		inUse: c.InUse, timeout: c.StoreTimeout, maxKeys: c.MaxKeys, now: c.Now, logger: c.Logger,
		sealing: c.Sealing, sealed: sealedTables(),
		gateways: newGateways(c.Gateways), operators: c.Operators, passwords: c.Passwords, guesses: newGuesses(), known: newMemory(), pending: newBacklog(),
		turn: make(chan struct{}, 1), generating: make(chan struct{}, 1), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	if s.passwords == nil {
		s.passwords = password.New(password.Ordinary())
	}
	if s.timeout <= 0 {
		s.timeout = 5 * time.Second
	}
	if s.maxKeys <= 0 {
		s.maxKeys = 20_000
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.publicPort == nil {
		s.publicPort = postern.Scheme.DefaultPort
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.clouds, s.holders = newClouds(), c.Holders
	if s.holders == nil {
		s.holders = func(postern.URL) []postern.Endpoint { return nil }
	}
	if s.inUse == nil {
		s.inUse = func() []postern.Endpoint { return nil }
	}
	if err := s.openSealing(ctx); err != nil {
		return nil, err
	}
	if err := s.recall(ctx); err != nil {
		return nil, err
	}
	go s.keepWriting()
	return s, nil
}

// Close writes what still waits, as far as ctx and the store allow, and ends the
// Service's goroutine. An error says that events were lost. It may be called more than
// once.
func (s *Service) Close(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stop) })
	<-s.finished
	return s.Flush(ctx)
}

// Retire leaves the sweeping of what has lapsed to another process, which has taken over
// from this one. Everything else goes on.
func (s *Service) Retire() { s.retired.Store(true) }

// Flush writes the session events and times of use that wait in memory, and returns
// when all that waited at the call is in the store and published.
func (s *Service) Flush(ctx context.Context) error {
	for more := true; more; {
		err := s.inTurn(ctx, func(ctx context.Context) error {
			if more = s.doubt != nil || !s.pending.empty(); !more {
				return nil
			}
			return s.commit(ctx, nothing)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func nothing(*draft) error { return nil }

// draft is a transaction whose events are collected for the bus.
type draft struct {
	store.Tx
	ctx     context.Context //nolint:containedctx // lives as long as one call of change
	now     time.Time
	records []event.Record

	// committed holds what must be so in memory once the transaction is in the store,
	// and before anybody hears of it.
	committed []func()

	// undone takes back what is so in memory for the time of the transaction, should it
	// come to nothing.
	undone []func()
}

// abandon is for a draft whose transaction was rolled back.
func (d *draft) abandon() {
	if d != nil {
		for _, takeBack := range d.undone {
			takeBack()
		}
	}
}

// change runs fn in a transaction, together with all that waits to be written, and
// publishes the events of both after the commit. fn may be called again.
func (s *Service) change(ctx context.Context, fn func(*draft) error) error {
	return s.inTurn(ctx, func(ctx context.Context) error {
		for s.pending.long() { // after an outage: what came first is written first
			if err := s.commit(ctx, nothing); err != nil {
				return err
			}
		}
		return s.commit(ctx, fn)
	})
}

// inTurn runs fn alone among the changes of this process, for no longer than the
// store's time.
func (s *Service) inTurn(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return fn(ctx)
	case <-ctx.Done():
		return postern.Errorf(postern.CodeStoreUnavailable, "the store is busy").Because(ctx.Err())
	}
}

// commit is one transaction: the next part of what waits, and fn.
func (s *Service) commit(ctx context.Context, fn func(*draft) error) error {
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	waiting := s.pending.take()
	var done, tried *draft
	err := s.store.Write(ctx, func(tx store.Tx) error {
		tried.abandon()
		d := &draft{Tx: tx, ctx: ctx, now: s.now()}
		tried = d
		if err := waiting.write(d); err != nil {
			return err
		}
		if err := fn(d); err != nil {
			return err
		}
		done = d
		return nil
	})
	if errors.Is(err, store.ErrInDoubt) {
		s.doubt = &doubt{done, waiting}
		committed, unsettled := s.await(ctx)
		if unsettled != nil || committed {
			return unsettled
		}
		return s.commit(ctx, fn) // nothing of it is there; ctx ends this
	}
	if err != nil {
		tried.abandon()
		s.pending.putBack(waiting)
		return err
	}
	s.finish(done, waiting)
	return nil
}

// read runs fn in a read-only transaction, for no longer than the store's time.
func (s *Service) read(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.store.Read(ctx, func(tx store.Tx) error { return fn(ctx, tx) })
}

// expiry is the time of last use before which reservations have lapsed.
func (s *Service) expiry() time.Time { return s.now().Add(-Reservation) }
