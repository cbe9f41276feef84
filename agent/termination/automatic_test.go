package termination_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/termination"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
)

// signer is a server that signs what it is asked for, or does not.
type signer struct {
	ca *authority

	mu    sync.Mutex
	down  error
	after time.Duration
	life  time.Duration
	name  string // in place of the one that is asked for
	keys  []*ecdsa.PublicKey
	at    []time.Time
}

func (s *signer) Certify(_ context.Context, r link.CertificateRequest) (link.Certified, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	if s.down != nil {
		return link.Certified{}, s.down
	}
	request, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return link.Certified{}, err
	}
	s.keys = append(s.keys, request.PublicKey.(*ecdsa.PublicKey))
	names := request.DNSNames
	if s.name != "" {
		names = []string{s.name}
	}
	cert := certify.Sign(s.ca.t, request.PublicKey, "", s.ca.Made, certify.Names(names...), certify.Valid(time.Now().Add(-time.Hour), time.Now().Add(s.life)))
	return link.Certified{Chain: certify.Block("CERTIFICATE", cert.Raw), After: s.after}, nil
}

func (s *signer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *signer) asked() (times []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(times, s.at...)
}

func automatic(t *testing.T, keep string) (*termination.Termination, *journal) {
	t.Helper()
	j := &journal{}
	ends, err := termination.New(termination.Config{
		Endpoint: config.Endpoint{Name: "api", URL: postern.URLRequest{Scheme: postern.TLS}, Termination: config.AtAgent},
		ACME:     termination.ACME{Keep: keep}, Logger: j.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ends, j
}

// attend keeps the endpoint in a session until stop.
func attend(ends *termination.Termination, certifier link.Certifier) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		ends.Attend(ctx, link.Bound{ID: "bound", URL: postern.URL{Scheme: postern.TLS, Host: host}}, certifier)
	}()
	return func() { cancel(); <-over }
}

// S1-40: without a certificate one is obtained for a key that stays, and renewed while the
// endpoint is online; visitors who come too early wait.
func TestObtained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &signer{ca: newAuthority(t, "ca"), life: 90 * 24 * time.Hour}
		keep := t.TempDir()
		ends, _ := automatic(t, keep)
		visitor := &tls.Config{RootCAs: s.ca.Pool(), ServerName: host}
		early := make(chan error, 1)
		go func() {
			_, err := visit(t, ends.TLS(), visitor)
			early <- err
		}()
		synctest.Wait()
		stop := attend(ends, s)
		if err := <-early; err != nil {
			t.Errorf("an early visitor: %v", err)
		}
		time.Sleep(365 * 24 * time.Hour)
		synctest.Wait()
		if state, err := visit(t, ends.TLS(), visitor); err != nil || time.Until(state.PeerCertificates[0].NotAfter) < 20*24*time.Hour {
			t.Errorf("after a year: %v", err)
		}
		if n := len(s.asked()); n < 6 || n > 7 {
			t.Errorf("%d requests in a year of certificates for 90 days", n)
		}
		stop()
		again, _ := automatic(t, keep)
		stop = attend(again, s)
		synctest.Wait()
		stop()
		for _, key := range s.keys {
			if !key.Equal(s.keys[0]) {
				t.Error("the key was not kept")
			}
		}
	})
}

// The server says when it will have a better one.
func TestAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &signer{ca: newAuthority(t, "ca"), life: 90 * 24 * time.Hour, after: 10 * time.Second}
		ends, _ := automatic(t, "")
		defer attend(ends, s)()
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if n := len(s.asked()); n != 4 {
			t.Errorf("asked %d times in 35 s", n)
		}
	})
}

// A server that signs nothing is asked again, less and less; what is held is served on.
func TestServerThatSignsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &signer{ca: newAuthority(t, "ca"), life: 30 * 24 * time.Hour}
		ends, log := automatic(t, "")
		defer attend(ends, s)()
		synctest.Wait()
		s.set(func() { s.down = postern.Errorf(postern.CodeOptionUnsupported, "no CA here") })
		time.Sleep(60 * 24 * time.Hour)
		synctest.Wait()
		if n := len(s.asked()); n < 100 || n > 250 {
			t.Errorf("asked %d times", n)
		}
		if state, err := visit(t, ends.TLS(), &tls.Config{InsecureSkipVerify: true}); err != nil || time.Until(state.PeerCertificates[0].NotAfter) > 0 {
			t.Errorf("the expired certificate is dropped: %v", err)
		}
		if !strings.Contains(log.String(), "no CA here") {
			t.Errorf("the log: %s", log)
		}
		s.set(func() { s.down = nil })
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		if _, err := visit(t, ends.TLS(), &tls.Config{RootCAs: s.ca.Pool(), ServerName: host}); err != nil {
			t.Errorf("once the server signs again: %v", err)
		}
	})
}

// What the server sends for another name, or over a link that signs nothing, is no
// certificate; visitors are refused when their time is up.
func TestNothingObtained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &signer{ca: newAuthority(t, "ca"), life: time.Hour, name: "else.test"}
		for _, certifier := range []link.Certifier{s, nil} {
			ends, log := automatic(t, "")
			stop := attend(ends, certifier)
			if _, err := visit(t, ends.TLS(), &tls.Config{InsecureSkipVerify: true}); err == nil {
				t.Error("a visitor sees a certificate")
			}
			stop()
			if !strings.Contains(log.String(), "cannot be obtained") {
				t.Errorf("the log: %s", log)
			}
		}
	})
}
