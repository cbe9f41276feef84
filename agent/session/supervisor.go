package session

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link"
)

// Config makes a Supervisor. Connect, and Hello's Token, are required.
type Config struct {
	Connect   Connect
	Hello     link.Hello // ClientID and Cookie are the Supervisor's to fill in
	Endpoints []Endpoint
	Events    Events
	Logger    *slog.Logger // nil: silent
	Meter     Meter        // nil: nobody measures
	Management
	// DrainTimeout is how long open streams may take to finish when Run is ending;
	// 0 is 30 seconds.
	DrainTimeout time.Duration
	// Random draws the jitter, in [0, 1); nil: math/rand.
	Random func() float64
	// WallClock tells the time of day, by which a sleep of the machine is noticed; nil:
	// time.Now.
	WallClock func() time.Time
}

// Liveness, by the one rule for all our links.
const (
	PingInterval = 10 * time.Second
	PingPatience = 20 * time.Second // since the last proof of life

	// callPatience bounds one exchange with a server that answers pings.
	callPatience = 10 * time.Second
)

// Supervisor keeps endpoints online. Make one with New, run it once; every other
// method may be called from anywhere at any time.
type Supervisor struct {
	config  Config
	log     *slog.Logger
	backoff backoff
	streams run.InFlight
	stop    context.CancelFunc
	stopped context.Context // ends when the server stops the agent, or Stop is called
	over    chan struct{}   // closed when Run has ended

	mu       sync.Mutex
	bindings []*binding
	added    chan struct{} // closed and replaced when there is more to bind
	answered chan struct{} // closed and replaced when a bind was answered, or a binding has gone
	reached  chan struct{} // closed and replaced when there is a new session
	current  *live
	failure  error // of Run
	status   Status
	hello    link.Hello

	telling sync.Mutex     // one event at a time
	retired sync.WaitGroup // sessions that the server drains

	restarting atomic.Bool // the stop is the first half of a restart
}

// New makes a Supervisor; nothing happens before Run.
func New(c Config) *Supervisor {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 30 * time.Second
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	s := &Supervisor{
		config:   c,
		log:      c.Logger,
		backoff:  backoff{random: c.Random},
		added:    make(chan struct{}),
		answered: make(chan struct{}),
		reached:  make(chan struct{}),
		over:     make(chan struct{}),
		status:   Status{State: Connecting},
		hello:    c.Hello,
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	for _, e := range c.Endpoints {
		s.bindings = append(s.bindings, e.bindings()...)
	}
	return s
}

// Run connects, keeps the endpoints online until ctx ends or the server stops the
// agent, then drains: endpoints go offline, open streams get DrainTimeout to
// finish. It then returns nil.
//
// It returns an error only if the first session was definitely refused (a bad
// token, an untrusted certificate), or none of the endpoints was granted in it.
// Whatever happens after that, it keeps trying.
func (s *Supervisor) Run(ctx context.Context) error {
	err := s.run(ctx)
	s.mu.Lock()
	s.failure = err
	s.mu.Unlock()
	close(s.over)
	return err
}

func (s *Supervisor) run(ctx context.Context) error {
	ctx, cancel := joinDone(ctx, s.stopped)
	defer cancel()
	// Sessions and streams outlive ctx: they end by drain.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		end()
		s.retired.Wait()
		s.collectStreams()
	}()
	defer s.setStatus(func(st *Status) { st.State = Stopped })
	s.retired.Go(func() { s.watchTTLs(work) })
	for first := true; ; first = false {
		l, err := s.establish(ctx, work, first)
		if err != nil {
			return err
		}
		if l == nil { // ctx ended: nothing is online
			s.tellStop(work)
			s.awaitStreams(work)
			return nil
		}
		if why := l.refusedWhole(ctx, first); why != nil {
			l.end(why)
			return why
		}
		if l.serve(ctx) == stopping {
			s.drain(work, l)
			return nil
		}
	}
}

// Stop makes Run drain and return, as the end of its context does.
func (s *Supervisor) Stop() { s.stop() }

// Status returns a snapshot.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// announce wakes everybody who waits on the channel. The Supervisor's lock is held.
func announce(channel *chan struct{}) {
	close(*channel)
	*channel = make(chan struct{})
}

// setStatus changes the status and tells it.
func (s *Supervisor) setStatus(change func(*Status)) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	before := s.status
	change(&s.status)
	now := s.status
	s.mu.Unlock()
	if s.config.Events.Status != nil && now != before {
		s.config.Events.Status(now)
	}
}

func (s *Supervisor) tell(event func(Events)) {
	s.telling.Lock()
	defer s.telling.Unlock()
	event(s.config.Events)
}

// joinDone returns a context that ends with either of two.
func joinDone(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	unhook := context.AfterFunc(b, cancel)
	return ctx, func() { unhook(); cancel() }
}
