package termination

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/link"
)

// automatic obtains the certificate of an endpoint and keeps it fresh.
type automatic struct {
	config     Config
	log        *slog.Logger
	challenges challenges
	turn       chan struct{} // holds one while somebody obtains

	mu    sync.Mutex
	held  *held         // nil: nothing was obtained yet
	there chan struct{} // closed when something is held
	key   *ecdsa.PrivateKey
}

// held is a certificate that was obtained.
type held struct {
	certificate *tls.Certificate
	host        postern.Hostname
	renew       time.Time
	acme        bool // by this agent from an ACME server
}

func newAutomatic(c Config, log *slog.Logger) *automatic {
	return &automatic{config: c, log: log, turn: make(chan struct{}, 1), there: make(chan struct{})}
}

// certificate is tls.Config's GetCertificate: who comes before there is one waits, as
// long as its handshake may take.
func (a *automatic) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	select {
	case <-a.there:
	case <-hello.Context().Done():
		return nil, postern.Errorf(postern.CodeNotReady, "the certificate of the endpoint was not obtained in time")
	}
	return a.now().certificate, nil
}

func (a *automatic) now() *held {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

func (a *automatic) hold(h *held) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		close(a.there)
	}
	a.held = h
	leaf := h.certificate.Leaf
	a.log.Info("the certificate of the endpoint was obtained", slog.String("host", h.host.String()), slog.String("issuer", leaf.Issuer.String()),
		slog.String("serial", material.Serial(leaf.SerialNumber)), slog.Time("expires", leaf.NotAfter), slog.Time("renews", h.renew))
}

// Attend obtains the endpoint's certificate, where none is given, and renews it until ctx
// ends: as long as the endpoint is online in a session. The key stays here.
func (t *Termination) Attend(ctx context.Context, bound link.Bound, certifier link.Certifier) {
	if t.automatic != nil {
		t.automatic.attend(ctx, bound, certifier)
	}
}

// retries are the pauses after failures; the last repeats.
func retries() []time.Duration {
	return []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour}
}

func (a *automatic) attend(ctx context.Context, bound link.Bound, certifier link.Certifier) {
	for failed := 0; ; {
		wait, err := a.step(ctx, bound, certifier)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = retries()[min(failed, len(retries())-1)]
			failed++
			a.log.Error("the certificate of the endpoint cannot be obtained", slog.String("host", bound.URL.Host.String()),
				slog.String("err", err.Error()), slog.Duration("again", wait))
		default:
			failed = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// step obtains a certificate if it is time, and gives how long nothing is to be done.
// One at a time: the sessions before and after a server's drain overlap.
func (a *automatic) step(ctx context.Context, bound link.Bound, certifier link.Certifier) (time.Duration, error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	host := bound.URL.Host
	if h := a.now(); h == nil || h.host != host || !a.config.Now().Before(h.renew) {
		fresh, err := a.obtain(ctx, host, bound.ID, certifier)
		if fresh != nil {
			a.hold(fresh)
		}
		if err != nil {
			return 0, err
		}
	}
	return max(a.now().renew.Sub(a.config.Now()), time.Second), nil
}

// obtain gets a certificate from an ACME server where one is configured, else from the
// server. Where the first fails the second stands in, beside the error, unless something
// better is held.
func (a *automatic) obtain(ctx context.Context, host postern.Hostname, id string, certifier link.Certifier) (*held, error) {
	directory, err := a.directory(ctx, id, certifier)
	if err == nil && directory != nil && !host.Wildcard() {
		var fresh *held
		if fresh, err = a.order(ctx, host, directory); err == nil {
			return fresh, nil
		}
	}
	if h := a.now(); err != nil && h != nil && h.acme && h.host == host && a.config.Now().Before(h.certificate.Leaf.NotAfter) {
		return nil, err
	}
	signed, failure := a.ask(ctx, host, id, certifier)
	if failure != nil && err == nil {
		err = failure
	}
	return signed, err
}

// ask has the server sign for our key.
func (a *automatic) ask(ctx context.Context, host postern.Hostname, id string, certifier link.Certifier) (*held, error) {
	if certifier == nil {
		return nil, postern.Errorf(postern.CodeServerTooOld, "over this link the server signs nothing; give the endpoint crt and key")
	}
	key, err := a.ownKey(host)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host.String()}}, key)
	if err != nil {
		return nil, err
	}
	answer, err := certifier.Certify(ctx, link.CertificateRequest{Endpoint: id, CSR: request})
	if err != nil {
		return nil, err
	}
	certificate, err := pair([]byte(answer.Chain), key, host)
	if err != nil {
		return nil, err
	}
	h := &held{certificate: certificate, host: host, renew: a.renewal(certificate.Leaf)}
	if answer.After > 0 {
		h.renew = a.config.Now().Add(answer.After)
	}
	return h, nil
}

// ownKey is the key for which the server signs, the same from one certificate to the next
// and, where it can be kept, from one start to the next: the server may have gone to some
// length to have it certified.
func (a *automatic) ownKey(host postern.Hostname) (*ecdsa.PrivateKey, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key != nil {
		return a.key, nil
	}
	var err error
	a.key, err = a.config.ACME.key("server", host.String(), a.log)
	return a.key, err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// renewal is when a certificate is renewed: after two thirds of what is left of its life,
// and not at the same moment as others.
func (a *automatic) renewal(leaf *x509.Certificate) time.Time {
	now := a.config.Now()
	left := leaf.NotAfter.Sub(now)
	spread := max(left/20, 1)
	jitter, err := rand.Int(rand.Reader, big.NewInt(int64(spread)))
	if err != nil { // cannot happen: crypto/rand ends the process instead
		return now.Add(left * 2 / 3)
	}
	return now.Add(left*2/3 - time.Duration(jitter.Int64()))
}

// pair holds a chain in PEM against the key and the name that it must be for.
func pair(chain []byte, key *ecdsa.PrivateKey, host postern.Hostname) (*tls.Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return nil, postern.Errorf(postern.CodeMaterialInvalid, "the certificate that was obtained is not for the key that it was asked for: %v", err)
	}
	for _, name := range certificate.Leaf.DNSNames {
		if postern.Hostname(name) == host {
			return &certificate, nil
		}
	}
	return nil, postern.Errorf(postern.CodeMaterialInvalid, "the certificate that was obtained is for %v and not for %s", certificate.Leaf.DNSNames, host)
}
