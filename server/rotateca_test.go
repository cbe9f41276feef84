package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server"
)

// trusts dials the server as a visitor of the name, and as an agent.
func (n *node) trusts(roots *x509.CertPool) error {
	for _, config := range []*tls.Config{
		{RootCAs: roots, ServerName: "app." + domain},
		{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{native.ALPN}},
	} {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), config)
		if err != nil {
			return err
		}
		_ = conn.Close()
	}
	return nil
}

// Visitors and agents that trust the old root, the new one or both are served until the
// new one takes over; sessions do not notice that it does.
func TestRotateCA(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	logger := testkit.Logger(t)
	keys := bootstrap(t, c)
	first, firstPin := n.Roots(), keys.CAPin
	client, _ := n.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
	bound := n.online(client, "https://app."+domain, "hello")

	announced, err := server.RotateCA(t.Context(), c, logger, time.Hour)
	if err != nil || len(announced.Roots) != 2 || !announced.Roots[0].Signs || announced.Roots[1].Signs || announced.Roots[0].Fingerprint != firstPin {
		t.Fatalf("%+v, %v", announced, err)
	}
	if pin := bootstrap(t, c).CAPin; pin != announced.Roots[1].Fingerprint {
		t.Errorf("new agents are told to pin %s", pin)
	}
	both := n.Roots()
	for who, roots := range map[string]*x509.CertPool{"first": first, "both": both} {
		if err := n.trusts(roots); err != nil {
			t.Errorf("during the overlap, %s: %v", who, err)
		}
	}
	if _, err := server.RotateCA(t.Context(), c, logger, time.Hour); !postern.HasCode(err, postern.CodeConflict) {
		t.Errorf("a second rotation: %v", err)
	}
	if _, err := server.RotateCA(t.Context(), c, logger, -1); !postern.HasCode(err, postern.CodeFieldInvalid) {
		t.Errorf("a negative overlap: %v", err)
	}
	if status, err := server.StatusOfKeys(t.Context(), c, logger); err != nil || len(status.CA.Roots) != 2 || !status.CA.SwitchAt.Equal(announced.SwitchAt) || len(status.Sealing.Used) != 1 {
		t.Errorf("status %+v, %v", status, err)
	}

	done, err := server.RotateCA(t.Context(), c, logger, 0)
	if err != nil || len(done.Roots) != 1 || done.Roots[0].Fingerprint != announced.Roots[1].Fingerprint {
		t.Fatalf("%+v, %v", done, err)
	}
	for who, roots := range map[string]*x509.CertPool{"second": n.Roots(), "both": both} {
		if err := n.trusts(roots); err != nil {
			t.Errorf("after the overlap, %s: %v", who, err)
		}
	}
	if err := n.trusts(first); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("after the overlap, the first: %v", err)
	}
	if status, body := n.get(n.Visitor(), bound.PublicURL); status != 200 || body != "hello" {
		t.Errorf("the session that was there: %d %q", status, body)
	}
}

// A running server has the next root take over by itself when it is time, and one that
// was stopped meanwhile when it starts.
func TestNextRootTakesOverByItself(t *testing.T) {
	for _, running := range []bool{true, false} {
		c := testConfig(t)
		var n *node
		if running {
			n = start(t, c, server.Options{})
		}
		announced, err := server.RotateCA(t.Context(), c, testkit.Logger(t), 2*time.Second)
		if err != nil || len(announced.Roots) != 2 || announced.File != filepath.Join(c.DataDir, "ca", "ca.pem") {
			t.Fatalf("%+v, %v", announced, err)
		}
		if !running {
			n = start(t, c, server.Options{})
		}
		n.eventually("the next root signs", func() error {
			status, err := server.StatusOfKeys(t.Context(), c, testkit.Logger(t))
			if err == nil && (len(status.CA.Roots) != 1 || status.CA.Roots[0].Fingerprint != announced.Roots[1].Fingerprint) {
				err = fmt.Errorf("the CA is %+v", status.CA)
			}
			return err
		})
		if err := n.trusts(n.Roots()); err != nil {
			t.Error(err)
		}
	}
}

func TestRotateCAOfFiles(t *testing.T) {
	c := testConfig(t)
	c.TLS.Mode = server.ModeFiles
	_, err := server.RotateCA(t.Context(), c, testkit.Logger(t), 0)
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "tls.mode is files") {
		t.Errorf("%v", err)
	}
	if status, err := server.StatusOfKeys(t.Context(), c, testkit.Logger(t)); err != nil || status.CA != nil {
		t.Errorf("%+v, %v", status, err)
	}
}
