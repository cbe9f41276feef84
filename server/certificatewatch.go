package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/service"
)

const (
	// lookOwn is how often certificates that another process has got for the server are
	// looked for.
	lookOwn = time.Minute
	// unreadCertificates is what it means that the store does not answer.
	unreadCertificates = "certificates cannot be read; those known last stay in force"
	// forgetEvery is how often those of names are ended that nobody binds any more.
	forgetEvery = time.Hour
)

// watchCertificates keeps in the index what the store has, one domain or ingress at a
// time as they change.
func (s *Server) watchCertificates(ctx context.Context) error {
	changes := s.bus.Subscribe(1024, event.DomainCreated, event.DomainUpdated, event.DomainDeleted,
		event.IngressCreated, event.IngressUpdated, event.IngressDeleted)
	defer changes.Close()
	shown := make(map[string][]postern.Hostname) // by the ids of what has them
	for all := true; ; {
		if all {
			if s.retry(ctx, unreadCertificates, func() error { return s.readCertificates(ctx, shown) }) != nil {
				return nil
			}
			all = false
		}
		change, err := changes.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, event.ErrClosed):
			return nil
		case err != nil:
			return err
		case change.Resync:
			all = true
			continue
		}
		id := change.Record.Subject
		if s.retry(ctx, unreadCertificates, func() error { return s.readCertificate(ctx, id, shown) }) != nil {
			return nil
		}
		if s.manager != nil {
			s.manager.Wake()
		}
	}
}

// readCertificates puts into force all that the store has, and says in shown, if that is
// not nil, which names are whose.
func (s *Server) readCertificates(ctx context.Context, shown map[string][]postern.Hostname) error {
	all, err := s.service.ServedCertificates(ctx)
	if err != nil {
		return err
	}
	clear(shown)
	known := make(map[postern.Hostname]bool, len(all))
	for _, one := range all {
		if shown != nil {
			shown[one.By] = one.Names
		}
		for _, name := range one.Names {
			known[name] = true
		}
		if err := s.putCertificate(ctx, one); err != nil {
			return err
		}
	}
	for _, name := range s.index.Names() {
		if !known[name] {
			s.index.Remove(name)
		}
	}
	return nil
}

// readCertificate does the same for one domain or ingress.
func (s *Server) readCertificate(ctx context.Context, id string, shown map[string][]postern.Hostname) error {
	one, shows, err := s.service.CertificateOf(ctx, id)
	if err != nil {
		return err
	}
	if !shows {
		for _, name := range shown[id] {
			s.index.Remove(name)
		}
		delete(shown, id)
		return nil
	}
	shown[id] = one.Names
	return s.putCertificate(ctx, one)
}

// readOwnCertificates does the same for the server's own. A failure is made up for soon.
func (s *Server) readOwnCertificates(ctx context.Context) {
	all, err := s.service.OwnCertificates(ctx)
	for _, one := range all {
		if err == nil {
			err = s.putCertificate(ctx, one)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the server's own certificates cannot be read; those known last stay in force", "error", postern.AsError(err))
	}
}

// putCertificate puts one into the index. One that cannot be used is left out, and told;
// the one before it stays.
func (s *Server) putCertificate(ctx context.Context, one service.ServedCertificate) error {
	var entry *pki.Entry
	for _, name := range one.Names {
		if s.index.Has(name, one.ID) {
			continue
		}
		if entry == nil {
			chain, key, err := s.service.LoadServed(ctx, one)
			if postern.HasCode(err, postern.CodeNotFound) {
				return nil // another one is about to be told of
			}
			if err != nil {
				return err
			}
			entry = &pki.Entry{ID: one.ID, Chain: chain, Key: key}
		}
		if err := s.index.Set(name, *entry); err != nil {
			s.log.ErrorContext(ctx, "a certificate cannot be used", "name", name, "certificate", one.ID, "error", err)
		}
	}
	return nil
}

// getCertificates does what authorities are needed for, from when this process serves
// until another has taken over. Like every part of a server it returns when ctx ends.
func (s *Server) getCertificates(ctx context.Context) error {
	if s.manager != nil && s.accepts(ctx) {
		s.getWhileServing(ctx)
	}
	<-ctx.Done()
	return nil
}

func (s *Server) getWhileServing(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() {
		defer cancel()
		select {
		case <-s.retired:
		case <-ctx.Done():
		}
	})
	if s.retry(ctx, unreadCertificates, func() error {
		all := s.service.Certificates()
		return errors.Join(all.WantOwn(ctx, s.config.ACME.KeyType, s.ownNames()), all.WantIngresses(ctx))
	}) != nil {
		return
	}
	working.Go(func() { s.watchBound(ctx) })
	_ = s.manager.Run(ctx) // returns nil
}

// watchBound has certificates be got for names that are bound and that none in force
// covers.
func (s *Server) watchBound(ctx context.Context) {
	look, forget := time.NewTicker(lookOwn), time.NewTicker(forgetEvery)
	defer look.Stop()
	defer forget.Stop()
	asked := make(map[postern.Hostname]time.Time)
	for {
		changed := s.cluster.Changed()
		s.wantBound(ctx, asked)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-look.C:
			s.readOwnCertificates(ctx)
		case <-forget.C:
			s.budget.tidy()
			if err := s.service.Certificates().ForgetEndpoints(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "certificates of names that nobody uses any more are kept for now", "error", postern.AsError(err))
			}
		}
	}
}
