package session_test

import (
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

// A server that accepts and never speaks is given up after connect_timeout, over every
// transport together twice that.
func TestPatienceIsSettable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, transport := range []session.Transport{session.TLS, session.Auto} {
		dialer := &session.Dialer{Server: silent.Addr().String(), Roots: x509.NewCertPool(), Transport: transport, Patience: 50 * time.Millisecond}
		began := time.Now()
		_, _, err = dialer.Connect(t.Context(), link.Hello{Token: "t"}, session.Callbacks{})
		if took := time.Since(began); !postern.HasCode(err, postern.CodeServerUnreachable) || took < 50*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: %v after %s", transport, err, took)
		}
	}
}
