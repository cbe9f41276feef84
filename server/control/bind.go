package control

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Bind implements link.Binder.
func (s *session) Bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	ctx = s.context(ctx)
	bound, err := s.bind(ctx, r)
	s.control.metrics.bound(err)
	if err != nil {
		coded := postern.AsError(err)
		s.control.log.InfoContext(ctx, "endpoint refused", "error", err, "name", r.Name, "host", r.URL.Host, "port", r.URL.Port)
		return link.Bound{}, coded
	}
	s.control.log.InfoContext(ctx, "endpoint online", "endpoint", bound.EndpointID, "url", bound.PublicURL, "name", r.Name, "pooling", r.Pooling)
	return bound, nil
}

func (s *session) bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	if err := checkRequest(r); err != nil {
		return link.Bound{}, err
	}
	if err := s.checkAuthorities(ctx, r.Options.MutualTLS); err != nil {
		return link.Bound{}, err
	}
	wish, err := s.wish(r)
	if err != nil {
		return link.Bound{}, err
	}
	if err := s.usePolicy(ctx, &r, wish.url); err != nil {
		return link.Bound{}, err
	}
	if r.ID == "" {
		r.ID = rand.Text()
	}
	e, err := s.reserve(r.ID, s.details(r))
	if s.meter != nil && postern.HasCode(err, postern.CodeEndpointLimit) && s.control.endSilent(ctx, s.info.Account) {
		e, err = s.reserve(r.ID, s.details(r))
	}
	if err != nil {
		return link.Bound{}, err
	}
	if err := s.place(ctx, e, wish); err != nil {
		s.remove(e)
		return link.Bound{}, err
	}
	if err := s.control.config.Routes.Sync(ctx); err != nil {
		s.remove(e)
		e.offline(false)
		return link.Bound{}, err
	}
	if err := s.settled(e); err != nil {
		s.remove(e)
		e.offline(false)
		s.control.settle(ctx)
		return link.Bound{}, err
	}
	return s.bound(e, r.Name), nil
}

func (s *session) details(r link.BindRequest) postern.Endpoint {
	return postern.Endpoint{
		ID:          postern.EndpointID("ep_" + ksuid.New().String()),
		Account:     s.info.Account,
		Credential:  s.info.Credential,
		Session:     s.info.ID,
		Name:        r.Name,
		Description: r.Description,
		Metadata:    r.Metadata,
		ForwardsTo:  r.ForwardsTo,
		Pooling:     r.Pooling,
		Options:     r.Options,
		StartedAt:   time.Now().UTC(),
	}
}

func (s *session) bound(e *endpoint, name string) link.Bound {
	details := e.snapshot()
	return link.Bound{
		ID:         e.bindID,
		EndpointID: details.ID,
		Token:      s.control.sealer.token(claim{URL: details.URL, Name: name}, s.info.Credential),
		URL:        details.URL,
		PublicURL:  details.URL.Public(s.control.config.Public.Port(details.URL.Scheme)),
	}
}

// wish is what a bind is after.
type wish struct {
	url     postern.URL // with empty parts to be assigned
	resumed bool        // the whole URL comes from a token: it was this agent's before
}

// wish reads the request. A token fills in what the request leaves open; a request
// that names something else has changed its mind, and the token is void.
func (s *session) wish(r link.BindRequest) (wish, error) {
	internal, err := s.control.internal(r)
	if err != nil {
		return wish{}, err
	}
	if internal {
		url, err := requestedInternal(r)
		return wish{url: url.Within(s.info.Account)}, err
	}
	url, err := s.control.requested(r)
	if err != nil {
		return wish{}, err
	}
	former, ok := s.control.sealer.open(r.Token, s.info.Credential)
	if !ok || former.URL.Scheme != url.Scheme || former.URL.Internal() {
		return wish{url: url}, nil
	}
	if url.Host != "" && url.Host != former.URL.Host || url.Port != 0 && url.Port != former.URL.Port {
		return wish{url: url}, nil
	}
	// The server's domain or range may have changed since it made the token.
	again := link.BindRequest{URL: postern.URLRequest{Scheme: former.URL.Scheme, Host: former.URL.Host, Port: former.URL.Port}}
	if _, err := s.control.requested(again); err != nil {
		return wish{url: url}, nil
	}
	return wish{url: former.URL, resumed: true}, nil
}

// place finds the endpoint its address and takes it online there.
func (s *session) place(ctx context.Context, e *endpoint, w wish) error {
	switch {
	case w.url.Internal():
		return s.takeInternal(ctx, e, w.url)
	case !w.url.Scheme.Hosted() && w.url.Port == 0:
		return s.assignPort(ctx, e, w.url)
	case !w.url.Scheme.Hosted():
		return s.takePort(ctx, e, w)
	case w.url.Host == "":
		return s.assignName(ctx, e, w.url)
	}
	return s.takeName(ctx, e, w)
}

// takeName takes the very name that was asked for.
func (s *session) takeName(ctx context.Context, e *endpoint, w wish) error {
	credential := s.credential()
	if !credential.ACL.Allows(w.url) {
		return notAllowed(w.url)
	}
	return s.takeClaimed(ctx, e, w, func() error { return s.control.config.Service.ClaimName(ctx, credential, w.url.Host) })
}

// takePort takes the very port that was asked for.
func (s *session) takePort(ctx context.Context, e *endpoint, w wish) error {
	credential := s.credential()
	if !credential.ACL.Allows(w.url) {
		return notAllowed(w.url)
	}
	return s.takeClaimed(ctx, e, w, func() error { return s.control.config.Service.ClaimPort(ctx, credential, w.url.Scheme, w.url.Port) })
}

// takeClaimed takes the endpoint online once the store, in turn, lets the account have
// the address.
func (s *session) takeClaimed(ctx context.Context, e *endpoint, w wish, claim func() error) error {
	leave, err := s.control.places.enter(ctx)
	if err != nil {
		return err
	}
	err = claim()
	leave()
	if err := s.tolerate(ctx, err, w); err != nil {
		return err
	}
	return s.online(ctx, e, w.url)
}

// tolerate lets an agent that comes back have what it had while the store is down:
// its token proves what the store would have said.
func (s *session) tolerate(ctx context.Context, err error, w wish) error {
	if err == nil || !w.resumed || !postern.HasCode(err, postern.CodeStoreUnavailable) {
		return err
	}
	s.control.log.WarnContext(ctx, "the store is unavailable; the returning endpoint is taken online by its token", "url", w.url.String(), "error", err)
	return nil
}

// notAllowed says that the ACL has no rule for an endpoint.
func notAllowed(u postern.URL) *postern.Error {
	if u.HasPort() {
		return postern.Errorf(postern.CodeAddressNotAllowed, "the credential's ACL does not allow %s", u)
	}
	return postern.Errorf(postern.CodeNameNotAllowed, "the credential's ACL does not allow %s", u.Host)
}
