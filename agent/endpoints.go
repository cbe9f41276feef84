package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"reflect"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
)

// EndpointStatus is a snapshot of one URL of an endpoint.
type EndpointStatus struct {
	session.EndpointStatus
	Config Endpoint // as it was asked for
}

// known is an endpoint of the agent.
type known struct {
	config     Endpoint
	assembled  session.Endpoint
	configured bool // by Config or Apply, and not by Add
	starting   bool // the session may not have heard of it yet
}

// prepare checks and assembles an endpoint.
func (a *Agent) prepare(e Endpoint) (known, error) {
	assembled, err := e.assemble(a.config.Logger, a.config.ACME)
	if err != nil {
		return known{}, err
	}
	if a.config.Tap != nil && e.inspected() {
		assembled.Tap = a.config.Tap
	}
	return known{config: e, assembled: assembled}, nil
}

// inspected tells whether the endpoint's requests may be looked at.
func (e *Endpoint) inspected() bool {
	scheme := e.URL.Scheme
	return !e.NoInspect && (scheme == "" || scheme == postern.HTTP || scheme == postern.HTTPS)
}

// Endpoints is a snapshot of every URL: of each endpoint its own, then its twins.
func (a *Agent) Endpoints() []EndpointStatus {
	statuses := a.session.Endpoints()
	all := make([]EndpointStatus, len(statuses))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, status := range statuses {
		all[i] = EndpointStatus{status, a.known[status.Name].config}
	}
	return all
}

// Add takes one more endpoint online and waits for the server's answer, until ctx
// ends. It gives what is online: the endpoint's own URL first, then its twins. Where it
// fails nothing is kept, so the name is free. Errors are *postern.Error: New's for what
// is wrong with the endpoint, CodeConflict where the name is in use, CodeNotReady where
// there is no session, or the server's.
func (a *Agent) Add(ctx context.Context, e Endpoint) ([]Online, error) {
	k, err := a.prepare(e)
	if err != nil {
		return nil, err
	}
	if !a.claim(e.Name, k) {
		return nil, postern.Errorf(postern.CodeConflict, "tunnel %q already exists", e.Name)
	}
	granted, err := a.session.TakeOnline(ctx, k.assembled)
	a.started(e.Name)
	if err != nil {
		return nil, err
	}
	a.checkRegions(a.Status())
	online := make([]Online, len(granted))
	for i, g := range granted {
		online[i] = Online{Name: g.Name, Label: g.Label, URL: g.URL, Upstream: g.Address}
	}
	return online, nil
}

// AddLater takes one more endpoint online, now or with the next session, and does not
// wait for that: Events tell, and what is refused is asked for again. It may be called
// before Run. Apply leaves the endpoint alone. Errors are New's, and CodeConflict.
func (a *Agent) AddLater(e Endpoint) error {
	k, err := a.prepare(e)
	if err != nil {
		return err
	}
	if !a.claim(e.Name, k) {
		return postern.Errorf(postern.CodeConflict, "tunnel %q already exists", e.Name)
	}
	defer a.started(e.Name)
	return a.session.Add(k.assembled)
}

// claim makes an endpoint known, unless there is one of its name.
func (a *Agent) claim(name string, k known) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now, taken := a.known[name]; taken && (now.starting || a.kept(name)) {
		return false
	}
	k.starting = true
	a.known[name] = k
	return true
}

// started ends what claim began: the endpoint is the session's, or was refused.
func (a *Agent) started(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.known[name]
	k.starting = false
	a.known[name] = k
	a.drop(name)
}

// kept tells whether the session still has URLs of an endpoint: the server may have
// stopped them, or their TTL.
func (a *Agent) kept(name string) bool {
	return slices.ContainsFunc(a.session.Endpoints(), func(s session.EndpointStatus) bool { return s.Name == name })
}

// release forgets an endpoint of which nothing is left.
func (a *Agent) release(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(name)
}

// drop is release; mu is held.
func (a *Agent) drop(name string) {
	if !a.known[name].starting && !a.kept(name) {
		delete(a.known, name)
	}
}

// ended is told of a URL that is gone. An endpoint of the configuration stays known: one
// whose time is over must not come back because the configuration is read again.
func (a *Agent) ended(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known[name].configured {
		a.drop(name)
	}
}

// Remove takes an endpoint offline and forgets it, twins included; the label of a twin
// removes that alone. Connections that are open live on. An unknown name is
// CodeNotFound. It waits for the server's answer, until ctx ends; the endpoint is gone
// from here either way.
func (a *Agent) Remove(ctx context.Context, name string) error {
	err := a.session.Remove(ctx, name)
	a.release(name)
	return err
}

// RemoveLabel is Remove of one URL alone: of an endpoint's own its twins stay.
func (a *Agent) RemoveLabel(ctx context.Context, label string) error {
	statuses := a.session.Endpoints()
	err := a.session.RemoveLabel(ctx, label)
	for _, status := range statuses {
		if status.Label == label {
			a.release(status.Name)
		}
	}
	return err
}

// Apply makes the endpoints of the configuration those given: what is new is taken
// online, what is gone is removed, what differs is bound anew, and the rest is not
// touched. Endpoints that Add brought stay, and keep their names: those given of such a
// name are left out, and CodeConflict says so once the others are as wanted. Nothing is
// changed where one of those given cannot be; the error is New's then. It waits for the
// server's word on those that are removed and those that are bound anew, until ctx ends; one
// of these that the server refuses stays as it was. Whether new ones are granted Events
// tell. What has gone wrong once something was changed is Partly.
func (a *Agent) Apply(ctx context.Context, endpoints []Endpoint) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	wanted := make(map[string]known, len(endpoints))
	for _, e := range endpoints {
		k, err := a.prepare(e)
		if err != nil {
			return err
		}
		if _, twice := wanted[e.Name]; twice {
			return postern.Errorf(postern.CodeConflict, "tunnel %q is there twice", e.Name)
		}
		k.configured = true
		wanted[e.Name] = k
	}
	gone, others := a.outdated(wanted)
	before := a.standing(gone)
	var failures []error
	for _, name := range others {
		failures = append(failures, postern.Errorf(postern.CodeConflict,
			"tunnel %q was started by other means; the one of the configuration waits until that is removed", name))
	}
	for _, name := range gone {
		if err := a.Remove(ctx, name); err != nil && !postern.HasCode(err, postern.CodeNotFound) {
			failures = append(failures, err)
		}
	}
	failures = append(failures, a.takeOver(ctx, endpoints, others, wanted, before)...)
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	if len(failures) == 0 {
		return nil
	}
	return Partly(failures)
}

// Partly is what Apply could not do, where the rest is done.
type Partly []error

// Error implements error.
func (p Partly) Error() string { return errors.Join(p...).Error() }

// Unwrap gives each failure.
func (p Partly) Unwrap() []error { return p }

// takeOver takes those online that are wanted and not known: with care where they were
// online before in another shape.
func (a *Agent) takeOver(ctx context.Context, endpoints []Endpoint, others []string, wanted, before map[string]known) []error {
	failures := make([]error, len(endpoints))
	var asked sync.WaitGroup
	for i, e := range endpoints {
		k := wanted[e.Name]
		if slices.Contains(others, e.Name) || !a.hold(k) {
			continue
		}
		if old, replaces := before[e.Name]; replaces {
			asked.Go(func() { failures[i] = a.replace(ctx, old, k) })
			continue
		}
		failures[i] = a.session.Add(k.assembled)
		a.started(e.Name)
	}
	asked.Wait()
	return failures
}

// hold makes a wanted endpoint known, unless there is one of its name.
func (a *Agent) hold(k known) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.known[k.config.Name]; there {
		return false
	}
	k.starting = true
	a.known[k.config.Name] = k
	return true
}

// replace takes an endpoint online in another shape. One that the server refuses gets its
// former shape back: a mistake in a file takes nothing offline.
func (a *Agent) replace(ctx context.Context, old, k known) error {
	name := k.config.Name
	defer a.started(name)
	_, err := a.session.TakeOnline(ctx, k.assembled)
	switch {
	case err == nil:
		return nil
	case !session.Refused(err):
		return a.session.Add(k.assembled) // it is asked for until there is an answer
	}
	a.mu.Lock()
	old.starting = true
	a.known[name] = old
	a.mu.Unlock()
	why := postern.AsError(err)
	stays := postern.Errorf(why.Code, "tunnel %q stays as it was: %s", name, why.Text())
	return errors.Join(stays, a.session.Add(old.assembled))
}

// standing are those of the named endpoints that are online.
func (a *Agent) standing(names []string) map[string]known {
	statuses := a.session.Endpoints()
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]known)
	for _, s := range statuses {
		if s.Online && slices.Contains(names, s.Name) {
			all[s.Name] = a.known[s.Name]
		}
	}
	return all
}

// outdated names the endpoints of the configuration that are not as wanted, and those
// that others have put in their place.
func (a *Agent) outdated(wanted map[string]known) (gone, others []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, now := range a.known {
		want, found := wanted[name]
		switch {
		case found && !now.configured && (now.starting || a.kept(name)):
			others = append(others, name)
		case now.configured && !(found && same(now, want)):
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	slices.Sort(others)
	return gone, others
}

// same tells whether two descriptions make the same endpoint, the contents of the files
// that they name included.
func same(a, b known) bool {
	one, other := a.config, b.config
	one.Where, other.Where = "", ""
	return reflect.DeepEqual(one.Endpoint, other.Endpoint) &&
		reflect.DeepEqual(a.assembled.Request, b.assembled.Request) &&
		one.Terminate == other.Terminate && one.UpstreamRoots == other.UpstreamRoots &&
		sameHandler(a.assembled.Handler, b.assembled.Handler)
}

// sameHandler compares what files hold. Handlers of an embedding program differ unless
// they are the same value.
func sameHandler(a, b session.Handler) bool {
	switch one := a.(type) {
	case *session.Files: // of the same directory, or the address would differ
		_, also := b.(*session.Files)
		return also
	case *session.Forward:
		other, also := b.(*session.Forward)
		return also && sameTLS(one.TLS, other.TLS) // what ends visitors' TLS reads its files again itself
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	sameChain := func(a, b tls.Certificate) bool {
		return slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
	}
	return slices.EqualFunc(a.Certificates, b.Certificates, sameChain) &&
		samePool(a.RootCAs, b.RootCAs) && samePool(a.ClientCAs, b.ClientCAs)
}

func samePool(a, b *x509.CertPool) bool { return a == b || a != nil && b != nil && a.Equal(b) }
