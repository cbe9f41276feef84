package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
)

// wire is one connection to a gateway, whatever it speaks. All methods may be called
// from anywhere at any time.
type wire interface {
	// Accept blocks for the next stream and says which remote it is for. After the end
	// it returns the reason, a *postern.Error.
	Accept(ctx context.Context) (Key, link.Header, link.Stream, error)

	// Offer takes a remote online, Withdraw takes it offline; fixed wires cannot once
	// they are made, and fail.
	Offer(ctx context.Context, r Remote) error
	Withdraw(ctx context.Context, k Key) error
	Fixed() bool

	Ping(ctx context.Context) (time.Duration, error)

	// Draining is closed when the gateway asks for a new connection; nil: it never does.
	Draining() <-chan struct{}

	Close(why *postern.Error)
	Done() <-chan struct{}
	Cause() *postern.Error

	// Name is for logs: "postern/1", "chisel-v3".
	Name() string
}

// route is the way to one gateway.
type route struct {
	gateway   *Gateway
	base      address
	net       dial.Dialer
	tls       *tls.Config
	roots     *x509.CertPool
	instance  string // the same at every reconnect, so that the gateway knows whose ghost it holds
	userAgent string
	hello     link.Hello
	logger    *slog.Logger
	stopped   func(w wire, k Key, why *postern.Error) // a remote was taken offline by the gateway

	// Of connect, which is called by one goroutine.
	native  *session.Dialer
	vainTry time.Time // when our own link did not get through, and chisel's wire did
}

// reconsider is how long chisel's wire is kept to before our own link, which did not get
// through, is tried again.
const reconsider = 10 * time.Minute

// connect makes a connection that offers remotes, or, if it is not fixed, offers none
// yet. latency is how long the gateway took for its answer.
func (r *route) connect(ctx context.Context, remotes []Remote) (w wire, latency time.Duration, err error) {
	at, native, err := r.preflight(ctx)
	if err != nil {
		return nil, 0, err
	}
	if r.gateway.Speech == Native && !r.base.secure {
		return nil, 0, postern.Errorf(postern.CodeFlagInvalid, "the native link needs TLS, and the server is at %s", r.base.shown())
	}
	var failed error
	kept := !r.vainTry.IsZero() && time.Since(r.vainTry) < reconsider
	if r.gateway.Speech == Native || native && !kept && r.mayBeNative(at) {
		w, latency, failed = r.connectNative(ctx, at)
		if failed == nil || r.gateway.Speech == Native || refused(failed) || ctx.Err() != nil {
			return w, latency, failed
		}
		r.logger.InfoContext(ctx, "the native link does not get through, taking chisel's wire", slog.String("err", describe(failed)))
	}
	w, latency, err = r.connectChisel(ctx, at, remotes)
	if err == nil && failed != nil {
		r.vainTry = time.Now()
	}
	return w, latency, err
}

// mayBeNative tells whether our own link could replace chisel's wire: it proves the
// gateway with TLS, and knows nothing of chisel's users and keys.
func (r *route) mayBeNative(at address) bool {
	g := r.gateway
	return g.Speech == Auto && at.secure && g.Auth == "" && g.Fingerprint == "" && !g.SkipVerify && g.Token != ""
}

// unreachable gives a code to what failed below HTTP.
func (r *route) unreachable(at address, err error) error {
	if coded, ok := errors.AsType[*postern.Error](err); ok {
		return coded
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return postern.Errorf(postern.CodeServerUntrusted, "the certificate of %s is not trusted: %v", at.shown(), untrusted.Err).Because(err)
	}
	return postern.Errorf(postern.CodeServerUnreachable, "%v", bare(err)).Because(err)
}

// bare is what happened, without the address that everybody knows.
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return err
}

// refused tells a definite no, which asking again soon will not change.
func refused(err error) bool {
	switch postern.AsError(err).Code {
	case postern.CodeGatewayTokenInvalid, postern.CodeGatewayUnknown, postern.CodeGatewayPlain, postern.CodeTokenInvalid,
		postern.CodeTokenMalformed, postern.CodeAgentTooOld, postern.CodeFlagInvalid, postern.CodeTooManyFailures:
		return true
	}
	return false
}

// describe is an error's text for the operator, with the cause that strangers are not
// shown.
func describe(err error) string {
	coded := postern.AsError(err)
	if coded == nil {
		return ""
	}
	text := coded.Error()
	if coded.Cause != nil && coded.Cause.Error() != coded.Text() {
		text += ": " + coded.Cause.Error()
	}
	return text
}
