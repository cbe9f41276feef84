package edge

import (
	"crypto/tls"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// termination is a way of ending TLS that policies have asked for, ready for handshakes.
// Its session tickets are good for nothing else.
type termination struct {
	mutual *mutualTLS // nil: visitors are asked for no certificates
	config *tls.Config
}

// terminations are those of one route.
type terminations struct {
	mu    sync.Mutex
	known map[policy.Termination]*termination
}

// mostTerminations bounds what is kept of a route whose policy makes texts of its own for
// each visitor; beyond it all are made anew.
const mostTerminations = 64

// terminationOf gives a way of ending TLS that a policy of r asks for, with authorities
// that are in force.
func (e *Edge) terminationOf(r *route.Route, asked policy.Termination) (*termination, error) {
	all, ok := r.Terminations.Load().(*terminations)
	if !ok {
		all = &terminations{known: make(map[policy.Termination]*termination)}
		r.Terminations.Store(all)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if known := all.known[asked]; known != nil && (known.mutual == nil || known.mutual.current(e, r)) {
		return known, nil
	}
	made, err := e.newTermination(r, asked)
	if err != nil {
		return nil, err
	}
	if len(all.known) >= mostTerminations {
		clear(all.known)
	}
	all.known[asked] = made
	return made, nil
}

func (e *Edge) newTermination(r *route.Route, asked policy.Termination) (*termination, error) {
	base, err := e.tls.own.config(r)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: asked.Least, MaxVersion: asked.Most, GetCertificate: base.GetCertificate, Certificates: base.Certificates}
	if r.URL.Scheme == postern.HTTPS {
		config.NextProtos = []string{alpnHTTP2, alpnHTTP1}
	}
	given, err := asked.Identity()
	if err != nil {
		return nil, err
	}
	if given != nil {
		config.GetCertificate, config.Certificates = nil, []tls.Certificate{given.TLS()}
	}
	made := &termination{config: config}
	clients := asked.MutualTLS
	if !clients.Asks() {
		clients = r.MutualTLS
	}
	if clients.Asks() {
		made.mutual = e.newMutualTLS(r, clients)
		made.mutual.policy.Apply(config, nil)
	}
	return made, nil
}
