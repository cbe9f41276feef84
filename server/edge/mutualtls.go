package edge

import (
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/route"
)

// mutualTLS is what a route asks of its visitors' certificates, ready for handshakes. It
// is the route's own, and its session tickets are good for nothing else.
type mutualTLS struct {
	asked    postern.MutualTLS
	policy   *mutualtls.Policy
	uploaded []*material.Authorities // as they were when it was made; nil for one that was missing
	web      *tls.Config

	once    sync.Once
	tunnels *tls.Config
}

// mutualOf gives what the route asks, nil for nothing.
func (e *Edge) mutualOf(r *route.Route) *mutualTLS {
	if !r.MutualTLS.Asks() {
		return nil
	}
	if made, ok := r.TLS.Load().(*mutualTLS); ok && made.current(e, r) {
		return made
	}
	made := e.newMutualTLS(r, r.MutualTLS)
	made.web = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: e.config.Certificate, NextProtos: []string{alpnHTTP2, alpnHTTP1}}
	made.policy.Apply(made.web, nil)
	r.TLS.Store(made)
	return made
}

// current tells whether the authorities that it was made of are in force.
func (m *mutualTLS) current(e *Edge, r *route.Route) bool {
	if m.asked.AuthorityIDs == "" {
		return true
	}
	for i, id := range m.asked.IDs() {
		if e.authority(r.Account, id) != m.uploaded[i] {
			return false
		}
	}
	return true
}

func (e *Edge) authority(account postern.AccountID, id string) *material.Authorities {
	if e.config.Authorities == nil {
		return nil
	}
	return e.config.Authorities(account, id)
}

// newMutualTLS compiles what is asked of a route's visitors. What cannot be compiled lets nobody in: it
// could when the endpoint was bound, and an authority has been deleted since.
func (e *Edge) newMutualTLS(r *route.Route, asked postern.MutualTLS) *mutualTLS {
	made := &mutualTLS{asked: asked}
	var all []*material.Authorities
	var problem error
	if text := asked.AuthoritiesPEM; text != "" {
		given, err := material.ReadAuthorities(material.Text{Name: "mutual_tls_cas", Data: []byte(text)}, time.Now())
		if err == nil {
			all = append(all, given)
		}
		problem = err
	}
	for _, id := range asked.IDs() {
		found := e.authority(r.Account, id)
		made.uploaded = append(made.uploaded, found)
		if found != nil {
			all = append(all, found)
		} else {
			e.logger.WarnContext(e.ctx, "an endpoint's certificate authority is not there: nobody is let in by it", "endpoint", r.URL.String(), "authority", id)
		}
	}
	if problem == nil {
		made.policy, problem = mutualtls.Compile(asked, all...)
	}
	if problem != nil {
		e.logger.WarnContext(e.ctx, "an endpoint's mutual TLS cannot be used: nobody is let in", "endpoint", r.URL.String(), "error", problem)
		made.policy = mutualtls.Closed()
	}
	return made
}

// tunnel is the configuration of a tls endpoint, whose certificate is that of base.
func (m *mutualTLS) tunnel(base *tls.Config) *tls.Config {
	m.once.Do(func() {
		m.tunnels = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: base.GetCertificate, Certificates: base.Certificates}
		m.policy.Apply(m.tunnels, nil)
	})
	return m.tunnels
}

// certify is handshake for a route that asks for certificates.
func (e *Edge) certify(v *visitor, r *route.Route, m *mutualTLS, config *tls.Config) (*tls.Conn, bool) {
	conn, err := e.tryHandshake(v, v, config)
	if err == nil {
		v.certified.Store(m.certified(conn.ConnectionState(), time.Now()))
		return conn, true
	}
	refusal := mutualtls.RefusalOf(err)
	if refusal == nil {
		e.reject(v, rejectHandshake, err)
		return nil, false
	}
	e.refuseCertificate(v, r, refusal)
	return nil, false
}

// rejectCertificate begins the reasons in metrics of those whose certificate was refused.
const rejectCertificate = "client_certificate_"

// refuseCertificate tells of a visitor whom crypto/tls has sent an alert. Who speaks TLS
// 1.3 has sent its first request by then, and must not lose the alert to a reset.
func (e *Edge) refuseCertificate(v *visitor, r *route.Route, refusal *mutualtls.Refusal) {
	if also, now := e.uncertified.note(time.Now()); now {
		attrs := []any{
			slog.String("endpoint", r.URL.String()), slog.String("client", v.client.String()),
			slog.String("reason", string(refusal.Reason)), slog.String("error", refusal.Error()), slog.Int64("also", also),
		}
		if c := mutualtls.Describe(shownBy(refusal), false); c != nil {
			attrs = append(attrs, slog.String("subject", c.Subject), slog.String("issuer", c.Issuer), slog.String("serial", c.Serial))
		}
		e.logger.WarnContext(e.ctx, "a visitor's client certificate was refused", attrs...)
	}
	e.tunnelEnded(v, r, relay.Result{Err: postern.Errorf(postern.CodeClientCertificateRefused, "%s", refusal.Error())})
	v.lingers.Store(true)
	e.reject(v, rejectCertificate+string(refusal.Reason), refusal)
}

// certifyAfter is how long a connection is good before its client's certificate is looked
// at again: it may have expired, and a revocation list gone stale.
const certifyAfter = time.Minute

// certify sees to it that the request's connection fulfils what its route asks. The
// connection may have been made before the route came, or asked for other things, or for
// another name: then the visitor is told to make another (RFC 9110 §15.5.20).
func (x *Exchange) certify() error { return x.certifiedBy(x.edge.mutualOf(x.route)) }

func (x *Exchange) certifiedBy(m *mutualTLS) error {
	if m == nil {
		return nil
	}
	v := x.visitor
	shown := v.certified.Load()
	if shown != nil && shown.by == m && x.times.Started.Sub(shown.checked) < certifyAfter {
		return nil
	}
	x.parts = true // unless what follows says otherwise
	if shown == nil || v.tls == nil {
		return postern.Errorf(postern.CodeMisdirected, "%s asks for a client certificate, and this connection was made without; connect again, with its name in the handshake", x.host)
	}
	state := v.tls.ConnectionState()
	if err := m.policy.Check(state, time.Now()); err != nil {
		if refusal := mutualtls.RefusalOf(err); refusal != nil {
			x.edge.metrics.rejected(rejectCertificate + string(refusal.Reason))
		}
		return postern.Errorf(postern.CodeMisdirected, "the client certificate of this connection is no longer accepted; connect again").Because(err)
	}
	v.certified.Store(m.certified(state, time.Now()))
	x.parts = false
	return nil
}
