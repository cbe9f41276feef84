package control_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/routebuild"
	usecase "github.com/postern-dev/postern/server/service"
)

// agent is a link.Session that does what a test tells it to.
type agent struct {
	addr      netip.AddrPort
	transport string
	silent    bool // never answers pings

	mu       sync.Mutex
	done     chan struct{}
	cause    *postern.Error
	drained  bool
	stopped  []string
	reasons  []*postern.Error // of stopped
	deaf     bool             // takes no word of a stopped endpoint
	commands []link.Command
	streams  int
	pings    int
	dead     bool // answers pings at once: by failing
}

func newAgent(addr string) *agent {
	return &agent{addr: netip.MustParseAddrPort(addr), transport: "postern/1", done: make(chan struct{})}
}

func (a *agent) Open(context.Context, link.Header, []byte) (link.Stream, error) {
	return nil, postern.Errorf(postern.CodeLinkLost, "a test's agent takes no streams")
}
func (a *agent) RemoteAddr() netip.AddrPort { return a.addr }
func (a *agent) Transport() string          { return a.transport }

func (a *agent) pinged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pings
}

func (a *agent) Ping(ctx context.Context) (time.Duration, error) {
	a.mu.Lock()
	a.pings++
	dead := a.dead
	a.mu.Unlock()
	if dead {
		return 0, postern.Errorf(postern.CodeLinkLost, "no answer")
	}
	if !a.silent {
		return time.Millisecond, nil
	}
	select {
	case <-ctx.Done():
	case <-a.done:
	}
	return 0, postern.Errorf(postern.CodeLinkLost, "no answer")
}

func (a *agent) Command(ctx context.Context, c link.Command) error {
	a.mu.Lock()
	a.commands = append(a.commands, c)
	a.mu.Unlock()
	if !a.silent {
		return nil
	}
	<-ctx.Done()
	return postern.Errorf(postern.CodeCommandUnanswered, "no answer")
}

func (a *agent) StopEndpoint(ctx context.Context, id string, why *postern.Error) error {
	if a.deaf {
		<-ctx.Done()
		return postern.Errorf(postern.CodeLinkLost, "no stream could be opened")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped, a.reasons = append(a.stopped, id), append(a.reasons, why)
	return nil
}

func (a *agent) Drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drained = true
}

func (a *agent) Close(why *postern.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause == nil {
		a.cause = why
		close(a.done)
	}
}

func (a *agent) Done() <-chan struct{} { return a.done }

func (a *agent) Cause() *postern.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

func (a *agent) Streams() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams
}

var _ link.Session = (*agent)(nil)

// service is a control.Service that lives in memory and can be switched off.
type service struct {
	mu          sync.Mutex
	credentials map[postern.Secret]postern.Credential
	names       map[postern.Hostname]postern.AccountID
	ports       map[uint16]postern.AccountID
	down        bool
	heard       int           // how many authentications
	delay       chan struct{} // when set, Authenticate waits for it
	events      []string
	kept        map[string][]usecase.Asker // who was told to have an assigned name or port
}

var errDown = postern.Errorf(postern.CodeStoreUnavailable, "the store is down")

func (s *service) Authenticate(_ context.Context, token postern.Secret) (postern.Credential, postern.Account, error) {
	s.mu.Lock()
	s.heard++
	delay := s.delay
	credential, found := s.credentials[token]
	s.mu.Unlock()
	if delay != nil {
		<-delay
	}
	if !found {
		return postern.Credential{}, postern.Account{}, postern.Errorf(postern.CodeTokenInvalid, "the authtoken is not valid")
	}
	return credential, postern.Account{ID: credential.Account, Name: "the account"}, nil
}

// AuthenticateSSHKey takes a key for a token: whoever has proven the one has proven the
// other.
func (s *service) AuthenticateSSHKey(ctx context.Context, key []byte) (postern.Credential, postern.Account, error) {
	credential, account, err := s.Authenticate(ctx, postern.Secret(key))
	if postern.HasCode(err, postern.CodeTokenInvalid) {
		err = postern.Errorf(postern.CodeSSHKeyUnknown, "the key is not known")
	}
	return credential, account, err
}

func (s *service) CheckCloud(_ postern.AccountID, u postern.URL, pooling bool) error {
	if u.Host == "cloud.example.com" && !pooling {
		return postern.Errorf(postern.CodeAlreadyOnline, "a cloud endpoint has it")
	}
	return nil
}

func (s *service) ClaimName(_ context.Context, c postern.Credential, host postern.Hostname) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	if owner, taken := s.names[host]; !host.Under("example.com") && owner != c.Account {
		return postern.Errorf(postern.CodeDomainForeign, "%s is nobody's", host)
	} else if taken && owner != c.Account {
		return postern.Errorf(postern.CodeNameReserved, "%s belongs to another account", host)
	}
	s.names[host] = c.Account
	return nil
}

func (s *service) AssignName(ctx context.Context, a usecase.Asker, scheme postern.Scheme, domain postern.Hostname, taken func(postern.Hostname) bool) (postern.Hostname, error) {
	for slot := range 1000 {
		h := fnv.New32a()
		fmt.Fprint(h, a.Credential.ID, "/", a.Endpoint, "/", slot)
		host := postern.Hostname(fmt.Sprintf("%08x.%s", h.Sum32(), domain))
		if !taken(host) {
			return host, s.ClaimName(ctx, a.Credential, host)
		}
	}
	return "", errors.New("the series has ended")
}

func (s *service) ClaimPort(_ context.Context, c postern.Credential, scheme postern.Scheme, number uint16) error {
	port := numbered(scheme, number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	if owner, taken := s.ports[port]; taken && owner != c.Account {
		return postern.Errorf(postern.CodePortUnavailable, "port %d belongs to another account", port)
	}
	s.ports[port] = c.Account
	return nil
}

func (s *service) AssignPort(ctx context.Context, a usecase.Asker, scheme postern.Scheme, _, low, high uint16, taken func(uint16) bool) (uint16, error) {
	for port := low; port <= high; port++ {
		if !taken(port) && s.ClaimPort(ctx, a.Credential, scheme, port) == nil {
			return port, nil
		}
	}
	return 0, postern.Errorf(postern.CodePortUnavailable, "no port is free")
}

func (s *service) KeepName(a usecase.Asker, host postern.Hostname) { s.keep(a, string(host)) }
func (s *service) KeepPort(a usecase.Asker, scheme postern.Scheme, port uint16) {
	s.keep(a, strconv.Itoa(int(numbered(scheme, port))))
}

// numbered tells ports of both schemes apart, as the store does: none of tcp in these
// tests has the number that one of udp gets.
func numbered(scheme postern.Scheme, port uint16) uint16 {
	if scheme == postern.UDP {
		return port + udpOffset
	}
	return port
}

const udpOffset = 30000

func (s *service) keep(a usecase.Asker, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[address] = append(s.kept[address], a)
}

func (s *service) SessionStarted(_ context.Context, session postern.Session) error {
	return s.note("started " + string(session.Credential))
}

func (s *service) SessionStopped(_ context.Context, session postern.Session) error {
	return s.note("stopped " + string(session.Credential))
}

func (s *service) note(event string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
	if s.down {
		return errDown
	}
	return nil
}

// ports is the edge's sockets of tcp and udp endpoints.
type ports struct {
	mu    sync.Mutex
	users map[uint16]int
	busy  map[uint16]bool // another program's
}

func (p *ports) OpenPort(scheme postern.Scheme, number uint16) error {
	port := numbered(scheme, number)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[port] {
		return postern.Errorf(postern.CodePortUnavailable, "port %d is in use", port)
	}
	p.users[port]++
	return nil
}

func (p *ports) ClosePort(scheme postern.Scheme, number uint16, _ bool) {
	port := numbered(scheme, number)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[port]--
}

func (p *ports) opened(port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[port] < 0 {
		panic("a port was closed more often than opened")
	}
	return p.users[port] > 0
}

// world is a control with everything that it needs, the real registry and route
// table among it.
type world struct {
	*control.Control
	t       testing.TB
	service *service
	cluster *cluster.Local
	table   *route.Current
	ports   *ports
	config  control.Config
}

func newWorld(t testing.TB, change ...func(*control.Config)) *world {
	t.Helper()
	w := &world{t: t, cluster: cluster.New(), table: &route.Current{},
		ports: &ports{users: map[uint16]int{}, busy: map[uint16]bool{}},
		service: &service{
			credentials: map[postern.Secret]postern.Credential{
				"alpha": {ID: "cr_alpha", Account: "ac_one"},
				"beta":  {ID: "cr_beta", Account: "ac_one"},
				"gamma": {ID: "cr_gamma", Account: "ac_two"},
			},
			names: map[postern.Hostname]postern.AccountID{},
			ports: map[uint16]postern.AccountID{},
			kept:  map[string][]usecase.Asker{},
		}}
	logger := slog.New(slog.DiscardHandler) // a fuzz target may not log through its F
	if test, ok := t.(*testing.T); ok {
		logger = testkit.Logger(test)
	}
	w.config = control.Config{
		Service: w.service,
		Cluster: w.cluster,
		Routes:  routebuild.New(routebuild.Config{Source: w.cluster, Current: w.table, Logger: logger}),
		Ports:   w.ports,

		Domain:   "example.com",
		Public:   control.PublicPorts{HTTPS: 443, HTTP: 80},
		TCPPorts: control.PortRange{First: 20000, Last: 20009},
		UDPPorts: control.PortRange{First: 20000, Last: 20009},
		Region:   "local",

		SigningKey:      []byte("0123456789abcdef0123456789abcdef"),
		Limits:          control.Limits{SessionsPerAccount: 3, EndpointsPerSession: 4, FailuresPerMinute: 20},
		Authentications: 2,
		Logger:          logger,
	}
	for _, f := range change {
		f(&w.config)
	}
	w.Control = control.New(w.config)
	return w
}

// restart makes a second control of the same installation, which remembers what a
// store would.
func (w *world) restart() *world {
	return newWorld(w.t, func(c *control.Config) { c.Service = w.service })
}

// connected is an admitted agent.
type connected struct {
	link.Binder
	link.Welcome
	*agent
}

func (w *world) connect(hello link.Hello) *connected {
	w.t.Helper()
	return w.connectAs(newAgent("198.51.100.7:4000"), hello)
}

func (w *world) connectAs(a *agent, hello link.Hello) *connected {
	w.t.Helper()
	binder, welcome, err := w.Admit(w.t.Context(), a, hello)
	if err != nil {
		w.t.Fatalf("Admit: %v", err)
	}
	// The wire's part: Release follows the session's end.
	released := make(chan struct{})
	go func() {
		defer close(released)
		<-a.Done()
		binder.Release(a.Cause())
	}()
	w.t.Cleanup(func() {
		a.Close(postern.Errorf(postern.CodeLinkLost, "the test is over"))
		<-released
	})
	return &connected{Binder: binder, Welcome: welcome, agent: a}
}

func request(t testing.TB, url string) link.BindRequest {
	t.Helper()
	parsed, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	return link.BindRequest{URL: parsed}
}

// bind asks for a URL and wants it.
func (c *connected) bind(t testing.TB, r link.BindRequest) link.Bound {
	t.Helper()
	bound, err := c.Bind(t.Context(), r)
	if err != nil {
		t.Fatalf("Bind %+v: %v", r.URL, err)
	}
	return bound
}

// refuse asks for a URL and wants an error of a code.
func (c *connected) refuse(t testing.TB, r link.BindRequest, code postern.Code) *postern.Error {
	t.Helper()
	bound, err := c.Bind(t.Context(), r)
	if !postern.HasCode(err, code) {
		t.Fatalf("Bind %+v gave %+v and %v, want %s", r.URL, bound, err, code)
	}
	return postern.AsError(err)
}

// reachable tells whether the route table in force has the host.
func (w *world) reachable(host postern.Hostname, secure bool) bool {
	return w.table.Load().HTTP(host, secure) != nil
}
