package termination

import (
	"crypto/tls"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
)

// fileState tells whether a file is the one that was read.
type fileState struct {
	path    string
	changed time.Time
	size    int64 // -1: it is not there
}

// states looks at every file that the endpoint names.
func (t *Termination) states() []fileState {
	e := &t.config.Endpoint
	var states []fileState
	for _, value := range []string{e.Certificate, e.Key, e.PassphraseFile, e.MutualTLSCAs, e.Revocations} {
		if value == "" || config.IsPEM(value) {
			continue
		}
		state := fileState{path: e.File(value), size: -1}
		if info, err := os.Stat(state.path); err == nil {
			state.changed, state.size = info.ModTime(), info.Size()
		}
		states = append(states, state)
	}
	return states
}

// read reads everything. states is from before: a file that changes while it is read is
// read again.
func (t *Termination) read(states []fileState) (*reading, error) {
	r := &reading{states: states, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if t.automatic != nil {
		r.tls.GetCertificate = t.automatic.certificate
	} else {
		identity, err := ReadIdentity(&t.config.Endpoint, t.config.Now())
		if err != nil {
			return nil, err
		}
		warnings := identity.Warnings
		if host := t.config.Endpoint.URL.Host; host != "" && !host.Wildcard() {
			warnings = append(warnings, identity.Covers(host.String())...)
		}
		t.warn(warnings)
		r.tls.Certificates = []tls.Certificate{identity.TLS()}
	}
	return r, t.readClients(r)
}

// ReadIdentity reads the certificate and the key of an endpoint. Errors are those of New;
// a certificate that has expired is one.
func ReadIdentity(e *config.Endpoint, now time.Time) (*material.Identity, error) {
	chain, err := e.Material("crt", e.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := e.Material("key", e.Key)
	if err != nil {
		return nil, err
	}
	passphrase, err := e.Passphrase()
	if err != nil {
		return nil, err
	}
	identity, err := material.ReadIdentity(chain, key, passphrase, now)
	if err != nil {
		return nil, err
	}
	return identity, identity.Alive(chain.Name, now)
}

// readClients has visitors show certificates, if they are asked for any.
func (t *Termination) readClients(r *reading) error {
	asked, authorities, err := t.config.Endpoint.MutualTLS(t.config.Now())
	if err != nil || !asked.Asks() {
		return err
	}
	var all []*material.Authorities
	if authorities != nil {
		t.warn(authorities.Warnings)
		all = append(all, authorities)
	}
	if r.clients, err = mutualtls.Compile(asked, all...); err != nil {
		return err
	}
	r.clients.Apply(r.tls, t.config.Now)
	return nil
}

// warn logs what can be used and should not be.
func (t *Termination) warn(warnings []material.Warning) {
	host := t.config.Endpoint.URL.Host
	for _, w := range warnings {
		advice := w.Advice
		if host != "" { // a line that can be copied
			advice = strings.Replace(advice, "postern ca server NAME", "postern ca server "+host.String(), 1)
		}
		t.log.Warn(w.Text, slog.String("defect", string(w.Defect)), slog.String("advice", advice))
	}
}
