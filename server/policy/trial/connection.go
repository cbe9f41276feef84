package trial

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/server/policy"
)

// facts are the connection as policies see it.
type facts struct {
	peer, local netip.AddrPort
	began       time.Time
	sni         string
	newest      uint16              // version of TLS that the visitor speaks
	has         []*x509.Certificate // that it would show
	tls         *tls.ConnectionState
	shown       *postern.ClientCertificate
}

func (c Connection) facts(t policy.Target, began time.Time) (*facts, error) {
	port := "443"
	if t.Scheme == postern.HTTP {
		port = "80"
	}
	f := &facts{began: began, sni: c.SNI, newest: tls.VersionTLS13}
	var err error
	if f.peer, err = netip.ParseAddrPort(cmp.Or(c.Client, "203.0.113.7:50000")); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "connection.client: %q is not an address and a port", c.Client)
	}
	if f.local, err = netip.ParseAddrPort(cmp.Or(c.Server, "198.51.100.1:"+port)); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "connection.server: %q is not an address and a port", c.Server)
	}
	switch c.TLS {
	case "", "1.3":
	case "1.2":
		f.newest = tls.VersionTLS12
	default:
		return nil, postern.Errorf(postern.CodeConfigInvalid, "connection.tls_version: %q is not 1.2 or 1.3", c.TLS)
	}
	if c.Certificate != "" {
		if f.has, err = material.ReadCertificates(material.Text{Name: "connection.client_certificate:", Data: []byte(c.Certificate)}); err != nil {
			return nil, err
		}
	}
	if t.Scheme == postern.HTTPS {
		f.handshake(f.newest)
	}
	return f, nil
}

func (f *facts) handshake(version uint16) {
	f.tls = &tls.ConnectionState{Version: version, ServerName: f.sni, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	if version == tls.VersionTLS12 {
		f.tls.CipherSuite = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	}
}

// endTLS tells what would become of a handshake. Certificate authorities that an account
// has uploaded are not known here: they let nobody in.
func (f *facts) endTLS(t *policy.Termination) error {
	if t == nil {
		return nil
	}
	if f.newest < t.Least {
		return postern.Errorf(postern.CodeHungUp, "the visitor speaks %s at most", tls.VersionName(f.newest))
	}
	f.handshake(min(f.newest, t.Most))
	if _, err := t.Identity(); err != nil {
		return postern.Errorf(postern.CodePolicyFailed, "terminate-tls cannot be carried out: %v", err)
	}
	if !t.MutualTLS.Asks() {
		return nil
	}
	return f.certify(t)
}

func (f *facts) certify(t *policy.Termination) error {
	var all []*material.Authorities
	if text := t.MutualTLS.AuthoritiesPEM; text != "" {
		given, err := material.ReadAuthorities(material.Text{Name: "mutual_tls_certificate_authorities", Data: []byte(text)}, f.began)
		if err != nil {
			return postern.Errorf(postern.CodePolicyFailed, "terminate-tls cannot be carried out: %v", err)
		}
		all = append(all, given)
	}
	clients, err := mutualtls.Compile(t.MutualTLS, all...)
	if err != nil {
		clients = mutualtls.Closed()
	}
	f.tls.PeerCertificates = f.has
	if err := clients.Check(*f.tls, f.began); err != nil {
		return postern.Errorf(postern.CodeClientCertificateRefused, "%v", err)
	}
	f.shown = mutualtls.Describe(f.has, clients.Verified(f.has, f.began))
	return nil
}

// Client implements policy.Connection.
func (f *facts) Client() netip.Addr { return f.peer.Addr() }

// Peer implements policy.Connection.
func (f *facts) Peer() netip.AddrPort { return f.peer }

// Local implements policy.Connection.
func (f *facts) Local() netip.AddrPort { return f.local }

// Began implements policy.Connection.
func (f *facts) Began() time.Time { return f.began }

// TLS implements policy.Connection.
func (f *facts) TLS() *tls.ConnectionState { return f.tls }

// ServerName implements policy.Connection.
func (f *facts) ServerName() string { return f.sni }

// ClientCertificate implements policy.Connection.
func (f *facts) ClientCertificate() *postern.ClientCertificate { return f.shown }

// Moved implements policy.Connection.
func (f *facts) Moved() (in, out int64) { return 0, 0 }

var _ policy.Connection = (*facts)(nil)
