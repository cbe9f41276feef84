package termination

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/mutualtls"
)

// Config says what ends the TLS of an endpoint. Endpoint is required.
type Config struct {
	// Endpoint names certificate, key, authorities and revocation lists. Without a
	// certificate one is obtained.
	Endpoint config.Endpoint
	ACME     ACME
	Logger   *slog.Logger     // nil: silent
	Now      func() time.Time // nil: time.Now
}

// Termination ends the TLS of one endpoint. Make one with New. Its methods may be called
// concurrently.
type Termination struct {
	config    Config
	log       *slog.Logger
	automatic *automatic // nil where the certificate is given

	current atomic.Pointer[reading]
	mu      sync.Mutex // held while files are looked at
	looked  time.Time
	failed  []fileState // of a reading that could not be used; not tried again
}

// reading is one reading of all files; it never changes.
type reading struct {
	states  []fileState
	tls     *tls.Config
	clients *mutualtls.Policy // nil: visitors show no certificate
}

// lookEvery is how often files are looked at, at most: when visitors come.
const lookEvery = time.Second

// New reads the files. What is wrong with them is CodeMaterialInvalid,
// CodePassphraseNeeded or CodeFileUnreadable; what is only unwise is logged.
func New(c Config) (*Termination, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := &Termination{config: c, log: c.Logger.With(slog.String("name", c.Endpoint.Name))}
	if c.Endpoint.Certificate == "" {
		t.automatic = newAutomatic(c, t.log)
	}
	first, err := t.read(t.states())
	if err != nil {
		return nil, err
	}
	t.current.Store(first)
	return t, nil
}

// TLS is what ends a visitor's TLS. A connection for which it has negotiated ProtocolACME
// carries nothing and is to be closed.
func (t *Termination) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: t.forClient}
}

// Verified tells whether an authority vouches for the certificates of a visitor who was
// let in.
func (t *Termination) Verified(shown []*x509.Certificate) bool {
	clients := t.current.Load().clients
	return clients != nil && clients.Verified(shown, t.config.Now())
}

func (t *Termination) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if t.automatic != nil && slices.Contains(hello.SupportedProtos, ProtocolACME) {
		if answer := t.automatic.challenges.answer(hello.ServerName); answer != nil {
			return answer, nil
		}
	}
	return t.latest().tls, nil
}

// latest gives what is in force, read anew where a file has changed. What cannot be used
// leaves what is in force as it is.
func (t *Termination) latest() *reading {
	now := t.current.Load()
	if len(now.states) == 0 || !t.mu.TryLock() {
		return now
	}
	defer t.mu.Unlock()
	if at := t.config.Now(); at.Sub(t.looked).Abs() < lookEvery {
		return now
	} else {
		t.looked = at
	}
	states := t.states()
	now = t.current.Load()
	if slices.Equal(states, now.states) || slices.Equal(states, t.failed) {
		return now
	}
	fresh, err := t.read(states)
	if err != nil {
		t.failed = states
		t.log.Error("changed certificate files cannot be used; what was read before stays in force", slog.String("err", err.Error()))
		return now
	}
	t.failed = nil
	t.current.Store(fresh)
	t.log.Info("changed certificate files are in force")
	return fresh
}
