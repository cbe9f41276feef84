package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/websocket"
)

// Stage is a part of the way to the server.
type Stage string

// The stages, in the order in which a connection passes them. OuterTLS and Upgrade are
// those of WebSocket.
const (
	Dialled  Stage = "connect" // TCP, and what a proxy answers
	OuterTLS Stage = "https"
	Upgrade  Stage = "upgrade"
	Secured  Stage = "tls"
)

// Step is a stage that was passed, or the one that failed.
type Step struct {
	Stage Stage
	Took  time.Duration
	Err   error
	TLS   *tls.ConnectionState // of OuterTLS and Secured, also where they failed for the certificate's sake
}

// Dial makes one connection over a transport, secured and ready for native.Connect.
// observe, where not nil, hears of every step. Errors are those of Connect.
func (d *Dialer) Dial(ctx context.Context, over Transport, observe func(Step)) (net.Conn, error) {
	w := way{Dialer: d, observe: observe, over: over}
	conn, err := w.connect(ctx)
	if err == nil && over == WebSocket {
		conn, err = w.upgrade(ctx, conn)
	}
	if err == nil {
		conn, err = w.secure(ctx, conn)
	}
	if err != nil {
		return nil, err // not a nil *tls.Conn in an interface
	}
	return conn, nil
}

// way is one connection in the making.
type way struct {
	*Dialer
	observe func(Step)
	over    Transport
}

// did tells of a step and passes its error on.
func (w *way) did(stage Stage, began time.Time, state *tls.ConnectionState, err error) error {
	if w.observe != nil {
		w.observe(Step{Stage: stage, Took: time.Since(began), Err: err, TLS: state})
	}
	return err
}

func (w *way) connect(ctx context.Context) (net.Conn, error) {
	began := time.Now()
	conn, err := w.Net.Dial(ctx, cmp.Or(w.Network, "tcp"), cmp.Or(w.Address, w.Server))
	if err != nil && !postern.HasCode(err, postern.CodeProxyRefused) {
		err = postern.Errorf(postern.CodeServerUnreachable, "the server %s cannot be reached", w.Server).Because(err)
	}
	if err := w.did(Dialled, began, nil, err); err != nil {
		return nil, err
	}
	keepHonest(conn)
	return conn, nil
}

// upgrade makes a WebSocket of conn: HTTPS to whoever may vouch for a web site on this
// machine or for the server, then HTTP.
func (w *way) upgrade(ctx context.Context, conn net.Conn) (net.Conn, error) {
	began := time.Now()
	host, port, _ := net.SplitHostPort(w.Server) // ParseServer joined it
	outer := tls.Client(conn, &tls.Config{
		ServerName:                  host,
		NextProtos:                  []string{"http/1.1"},
		DynamicRecordSizingDisabled: true,
		InsecureSkipVerify:          true, // VerifyConnection does it, with two pools
		VerifyConnection:            func(state tls.ConnectionState) error { return w.verifyEither(host, state) },
	})
	err := outer.HandshakeContext(ctx)
	if err != nil {
		_ = conn.Close() // the handshake's error is the one that counts
		err = w.handshakeError(err)
	}
	if err := w.did(OuterTLS, began, stateOf(outer, err), err); err != nil {
		return nil, err
	}
	began = time.Now()
	name := w.Server
	if port == "443" {
		name = strings.TrimSuffix(name, ":443")
	}
	carrier, err := websocket.Client(ctx, outer, name, w.UserAgent)
	if err != nil {
		err = w.upgradeError(err)
	}
	if err := w.did(Upgrade, began, nil, err); err != nil {
		return nil, err
	}
	return carrier, nil
}

// verifyEither checks a chain as crypto/tls does, against the agent's own authorities
// or this system's.
func (w *way) verifyEither(host string, state tls.ConnectionState) error {
	err := verify(host, state, w.Roots)
	if err != nil && verify(host, state, w.SystemRoots) == nil {
		return nil
	}
	return err
}

// verify checks a chain; roots nil are this system's.
func verify(host string, state tls.ConnectionState, roots *x509.CertPool) error {
	options := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, certificate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// secure does the handshake that the link stands on, the same over every transport.
func (w *way) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	began := time.Now()
	host, _, _ := net.SplitHostPort(w.Server)
	secured := tls.Client(link.NewWire(conn), &tls.Config{
		ServerName: host,
		RootCAs:    w.Roots,
		NextProtos: []string{native.ALPN},
		MinVersion: tls.VersionTLS13,
		// Small records at first help a page to render; a link only pays for them.
		DynamicRecordSizingDisabled: true,
	})
	err := secured.HandshakeContext(ctx)
	if err == nil && secured.ConnectionState().NegotiatedProtocol != native.ALPN {
		err = w.intercepted("what answers at %s speaks TLS, but not %s; is it a Postern server?", w.Server, native.ALPN)
	} else if err != nil {
		err = w.handshakeError(err)
	}
	if err != nil {
		_ = conn.Close() // the handshake's error is the one that counts
	}
	if err := w.did(Secured, began, stateOf(secured, err), err); err != nil {
		return nil, err
	}
	return secured, nil
}

// stateOf tells what a handshake gave: where the certificate was refused, that
// certificate at least.
func stateOf(conn *tls.Conn, err error) *tls.ConnectionState {
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &tls.ConnectionState{PeerCertificates: untrusted.UnverifiedCertificates}
	}
	state := conn.ConnectionState()
	if !state.HandshakeComplete {
		return nil
	}
	return &state
}

// handshakeError says what a handshake's failure means.
func (w *way) handshakeError(err error) error {
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return w.untrusted(untrusted)
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP/") {
			return w.intercepted("what answers at %s speaks HTTP without TLS", w.Server).Because(err)
		}
		return w.intercepted("what answers at %s does not speak TLS", w.Server).Because(err)
	}
	if alert := remoteAlert(err); slices.Contains(disagreements[:], alert) {
		return w.intercepted("what answers at %s does not speak %s (%s); is it a Postern server, and of a release that serves this agent's?",
			w.Server, native.ALPN, alert.Error()).Because(err)
	}
	return postern.Errorf(postern.CodeServerUnreachable, "the TLS handshake with the server %s failed", w.Server).Because(cut{err})
}

// untrusted names who vouches for what answered. Where this system's authorities do,
// somebody whom its operator trusts has taken the server's place.
func (w *way) untrusted(err *tls.CertificateVerificationError) error {
	host, _, _ := net.SplitHostPort(w.Server)
	chain := err.UnverifiedCertificates
	if w.over == TLS && len(chain) > 0 && verify(host, tls.ConnectionState{PeerCertificates: chain}, w.SystemRoots) == nil {
		return w.intercepted("what answers at %s has a certificate of %q, which this system trusts, but not the server's own",
			w.Server, issuer(chain[0])).Because(err)
	}
	return postern.Errorf(postern.CodeServerUntrusted, "the certificate of the server %s is not trusted: %v", w.Server, err.Err).Because(err)
}

func issuer(certificate *x509.Certificate) string {
	if name := certificate.Issuer.CommonName; name != "" {
		return name
	}
	return certificate.Issuer.String()
}

// disagreements are the alerts (RFC 8446 §6.2) of a peer that is not what we look for:
// handshake_failure, access_denied, protocol_version, unrecognized_name and
// no_application_protocol.
var disagreements = [...]tls.AlertError{40, 49, 70, 112, 120}

// remoteAlert gives the peer's refusal of a handshake; 0 is none. crypto/tls gives
// received alerts no exported type.
func remoteAlert(err error) tls.AlertError {
	remote, ok := errors.AsType[*net.OpError](err)
	if !ok || remote.Op != "remote error" {
		return 0
	}
	for _, alert := range disagreements {
		if remote.Err.Error() == alert.Error() {
			return alert
		}
	}
	return 0
}

func (w *way) upgradeError(err error) error {
	refusal, answered := errors.AsType[*websocket.Refusal](err)
	switch {
	case answered && refusal.Away():
		return postern.Errorf(postern.CodeServerUnreachable, "the server %s is not behind the proxy in front of it: %v", w.Server, refusal).Because(err)
	case answered:
		return w.intercepted("what answers at %s opens no WebSocket: %v", w.Server, refusal).Because(err)
	}
	return postern.Errorf(postern.CodeServerUnreachable, "the WebSocket to the server %s failed", w.Server).Because(cut{err})
}

func (w *way) intercepted(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeIntercepted, format, args...)
}
