// Package run starts the parts of a process together and stops them in order.
//
// A part that returns early takes the whole process down, in the same order as a
// signal would: half a server is worse than none, as nobody restarts it. Lock keeps other
// processes away from what belongs to one.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Phase says when a part is stopped. Phases end one after the other, from the
// first to the last; parts of one phase together.
type Phase int

// The phases. Each exists because stopping its parts later, or earlier, would lose
// traffic.
const (
	// NotReady tells load balancers to look elsewhere, while all still works.
	NotReady Phase = iota
	// StopAccepting closes listeners: nothing new comes in.
	StopAccepting
	// TellAgents asks the other ends to move, while their streams still flow.
	TellAgents
	// Drain waits for what is under way.
	Drain
	// StopServices ends what the traffic needed: builders, buses, probes.
	StopServices
	// StopStores closes databases, when nobody can write any more.
	StopStores

	phases
)

// DefaultDeadline bounds a phase that Group.Deadlines does not name.
const DefaultDeadline = 10 * time.Second

// Group holds the parts. The zero value is ready; fill it with Add, then Run once.
type Group struct {
	// Deadlines bounds phases that need more or less than DefaultDeadline.
	Deadlines map[Phase]time.Duration
	// Logger is told of phases and errors; nil logs nothing.
	Logger *slog.Logger

	parts [phases][]*part
}

type part struct {
	name  string
	start func(context.Context) error
	stop  func(context.Context) error

	cancel context.CancelFunc
	ended  chan struct{} // closed when start has returned
}

// Add registers a part. start runs in its own goroutine until it is stopped; nil
// is a part that only needs stopping. stop, at the part's phase, makes start
// return; its context ends at the phase's deadline. nil stop means that
// cancelling start's context is enough. start's context is cancelled after stop
// has returned, never before the part's phase.
func (g *Group) Add(name string, phase Phase, start, stop func(context.Context) error) {
	g.parts[phase] = append(g.parts[phase], &part{name: name, start: start, stop: stop})
}

// Run starts every part and waits until ctx is done or a part returns, then stops
// all. It returns nil after an orderly stop; otherwise what ended the process and
// what went wrong while stopping, joined.
func (g *Group) Run(ctx context.Context) error {
	early := make(chan error, 1)
	stopping := make(chan struct{})
	for _, phase := range g.parts {
		for _, p := range phase {
			p.run(context.WithoutCancel(ctx), stopping, early)
		}
	}
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-early:
		g.logger().ErrorContext(ctx, "a part ended early, stopping the others", "error", failure)
	}
	close(stopping)
	return errors.Join(failure, g.stop(context.WithoutCancel(ctx)))
}

func (p *part) run(ctx context.Context, stopping <-chan struct{}, early chan<- error) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.ended = make(chan struct{})
	if p.start == nil {
		close(p.ended)
		return
	}
	go p.supervise(ctx, stopping, early)
}

// supervise reports a start that returned before anybody asked it to.
func (p *part) supervise(ctx context.Context, stopping <-chan struct{}, early chan<- error) {
	defer close(p.ended)
	err := p.start(ctx)
	select {
	case <-stopping:
		return
	default:
	}
	if err == nil {
		err = errors.New("it returned before it was stopped")
	}
	select {
	case early <- fmt.Errorf("%s: %w", p.name, err):
	default: // another part was first
	}
}

func (g *Group) stop(ctx context.Context) error {
	var failures []error
	for phase := range phases {
		if len(g.parts[phase]) == 0 {
			continue
		}
		failures = append(failures, g.stopPhase(ctx, phase))
	}
	return errors.Join(failures...)
}

func (g *Group) stopPhase(ctx context.Context, phase Phase) error {
	limit, found := g.Deadlines[phase]
	if !found {
		limit = DefaultDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	g.logger().DebugContext(ctx, "stopping", "phase", phase.String(), "parts", len(g.parts[phase]))
	failures := make([]error, len(g.parts[phase]))
	var all sync.WaitGroup
	for i, p := range g.parts[phase] {
		all.Go(func() { failures[i] = p.end(ctx) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// end stops one part and waits for its start to return, until ctx ends. A stop
// that ignores its context is left behind, as is its goroutine: the process is
// about to exit.
func (p *part) end(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() {
		if p.stop == nil {
			stopped <- nil
			return
		}
		stopped <- p.stop(ctx)
	}()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	return nil
}

func (g *Group) logger() *slog.Logger {
	if g.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return g.Logger
}

// String names the phase for logs.
func (p Phase) String() string {
	switch p {
	case NotReady:
		return "not ready"
	case StopAccepting:
		return "stop accepting"
	case TellAgents:
		return "tell agents"
	case Drain:
		return "drain"
	case StopServices:
		return "stop services"
	case StopStores:
		return "stop stores"
	}
	return fmt.Sprintf("phase %d", int(p))
}
