//go:build unix

package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// remembering is a link.Session without a wire, and what its agent keeps between two
// sessions.
type remembering struct {
	link.Session // never asked for what is not here
	address      netip.AddrPort
	done         chan struct{}
	end          sync.Once

	unnamed bool // its endpoint has no name of its own
	welcome link.Welcome
	bound   link.Bound
}

func newRemembering(number int) *remembering {
	address := netip.AddrFrom4([4]byte{198, 51, byte(number >> 8), byte(number)})
	return &remembering{address: netip.AddrPortFrom(address, 4000)}
}

func (r *remembering) name(number int) string {
	if r.unnamed {
		return ""
	}
	return fmt.Sprint("service ", number)
}

func (r *remembering) RemoteAddr() netip.AddrPort                  { return r.address }
func (r *remembering) Transport() string                           { return "postern/1" }
func (r *remembering) Done() <-chan struct{}                       { return r.done }
func (r *remembering) Close(*postern.Error)                        { r.end.Do(func() { close(r.done) }) }
func (r *remembering) Drain()                                      {}
func (r *remembering) Streams() int                                { return 0 }
func (r *remembering) Ping(context.Context) (time.Duration, error) { return time.Millisecond, nil }

// join connects and binds one endpoint, with whatever is remembered.
func (r *remembering) join(ctx context.Context, n *node, token postern.Secret, number int) error {
	r.done, r.end = make(chan struct{}), sync.Once{}
	binder, welcome, err := n.Control().Admit(ctx, r, link.Hello{Token: token, ClientID: r.welcome.ClientID, Cookie: r.welcome.Cookie,
		Agent: postern.AgentInfo{Hostname: fmt.Sprint("machine-", number)}})
	if err != nil {
		return fmt.Errorf("agent %d is refused: %w", number, err)
	}
	bound, err := binder.Bind(ctx, link.BindRequest{
		URL: postern.URLRequest{Scheme: postern.HTTPS}, Name: r.name(number), ID: r.bound.ID, Token: r.bound.Token,
		Options: postern.EndpointOptions{UpstreamProtocol: postern.HTTP1},
	})
	if err != nil {
		return fmt.Errorf("agent %d binds nothing: %w", number, err)
	}
	if r.bound.Token != "" && (bound.URL != r.bound.URL || bound.ID != r.bound.ID || welcome.ClientID != r.welcome.ClientID) {
		return fmt.Errorf("agent %d had %v as %s, and has %v as %s", number, r.bound.URL, r.bound.ID, bound.URL, bound.ID)
	}
	r.welcome, r.bound = welcome, bound
	return nil
}

// all has every agent join at once, and gives the time and the CPU time that it took.
func all(t *testing.T, n *node, token postern.Secret, herd []*remembering) (took, cpu time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	started, before := time.Now(), cpuTime(t)
	var joins sync.WaitGroup
	for i, agent := range herd {
		joins.Go(func() {
			if err := agent.join(ctx, n, token, i); err != nil {
				t.Error(err)
			}
		})
	}
	joins.Wait()
	return time.Since(started), cpuTime(t) - before
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// B5-32: two thousand agents that come back to a restarted server at once all have
// their endpoints within seconds, for a bounded price. The wire is left out: this is
// what admission, the store, the registry and the route table make of it.
func TestHerd(t *testing.T) {
	const agents = herdSize
	c := testConfig(t)
	c.Timeouts.Drain = 400 * time.Millisecond // of which a quarter is for telling agents
	quiet := slog.New(slog.DiscardHandler)
	n := start(t, c, server.Options{Logger: quiet})
	token := postern.Secret(n.Keys().Authtoken)
	herd := make([]*remembering, agents)
	for i := range herd {
		herd[i] = newRemembering(i)
	}

	took, cpu := all(t, n, token, herd)
	t.Logf("first time: %v, %v of CPU", took, cpu)
	n.Shutdown()
	n = start(t, c, server.Options{Logger: quiet})
	took, cpu = all(t, n, token, herd)
	t.Logf("after a restart: %v, %v of CPU", took, cpu)
	if took > 30*time.Second {
		t.Errorf("the herd was back after %v; 30 s are promised", took)
	}
	if online := len(n.Control().Sessions()); online != agents {
		t.Errorf("%d sessions, want %d", online, agents)
	}

	// Half-open: every agent comes back while its former session still looks alive.
	before := make([]*remembering, agents)
	for i, agent := range herd {
		before[i] = agent
		herd[i] = &remembering{address: agent.address, welcome: agent.welcome, bound: agent.bound}
	}
	took, cpu = all(t, n, token, herd)
	t.Logf("over half-open sessions: %v, %v of CPU", took, cpu)
	for i, agent := range before {
		select {
		case <-agent.done:
		default:
			t.Fatalf("the former session of agent %d lives", i)
		}
	}
	if online := len(n.Control().Sessions()); online != agents {
		t.Errorf("%d sessions, want %d", online, agents)
	}
}

// Agents that all use one credential and give their endpoints no names share one
// series of assigned names. They find their places in it without trying them one by
// one, and those on the same machines find the same ones after a restart of everything.
func TestUnnamedHerd(t *testing.T) {
	const agents = herdSize
	c := testConfig(t)
	c.Timeouts.Drain = 400 * time.Millisecond
	quiet := slog.New(slog.DiscardHandler)
	n := start(t, c, server.Options{Logger: quiet})
	token := postern.Secret(n.Keys().Authtoken)
	herd := make([]*remembering, agents)
	urls := make([]postern.URL, agents)
	for i := range herd {
		herd[i] = newRemembering(i)
		herd[i].unnamed = true
	}
	took, cpu := all(t, n, token, herd)
	t.Logf("first time: %v, %v of CPU", took, cpu)
	for i, agent := range herd {
		urls[i] = agent.bound.URL
		agent.welcome, agent.bound = link.Welcome{}, link.Bound{}
	}
	n.Shutdown()
	n = start(t, c, server.Options{Logger: quiet})
	took, cpu = all(t, n, token, herd)
	t.Logf("after a restart of everything: %v, %v of CPU", took, cpu)
	for i, agent := range herd {
		if agent.bound.URL != urls[i] {
			t.Fatalf("agent %d had %v and has %v", i, urls[i], agent.bound.URL)
		}
	}
}
