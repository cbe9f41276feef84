package termination_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/termination"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

// showing is a visitor who shows a certificate, whether or not its authority is asked for.
func showing(ca *authority, c *tls.Certificate) *tls.Config {
	v := &tls.Config{RootCAs: ca.Pool(), ServerName: host, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if c != nil {
		v.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	return v
}

// Each mode lets in whom it lets in at the edge, and knows who is vouched for.
func TestModes(t *testing.T) {
	dir, ca, other := t.TempDir(), newAuthority(t, "ca"), newAuthority(t, "other")
	e := given(t, dir, ca)
	good, revoked, stranger := ca.client("good"), ca.client("revoked"), other.client("stranger")
	e.MutualTLSCAs, e.Revocations = certify.Chain(ca.Made), ca.revoke(revoked.Leaf.SerialNumber)
	who := map[string]*tls.Certificate{"none": nil, "good": &good, "revoked": &revoked, "stranger": &stranger}
	const in, verified = "let in", "let in as verified"
	for mode, want := range map[postern.ClientCertificateMode]map[string]string{
		postern.ClientCertificateRequested:           {"none": in, "good": verified, "revoked": in, "stranger": in},
		postern.ClientCertificateRequired:            {"none": "certificate required", "good": verified, "revoked": in, "stranger": in},
		postern.ClientCertificateVerifiedIfGiven:     {"none": in, "good": verified, "revoked": "bad certificate", "stranger": "unknown certificate authority"},
		postern.ClientCertificateRequiredAndVerified: {"none": "certificate required", "good": verified, "revoked": "bad certificate", "stranger": "unknown certificate authority"},
		"": {"none": "certificate required", "good": verified, "revoked": "bad certificate", "stranger": "unknown certificate authority"},
	} {
		e.MutualTLSMode = string(mode)
		ends, _, _ := open(t, e)
		service := ends.TLS()
		shown := make(chan tls.ConnectionState, 1)
		inner := service.GetConfigForClient
		service.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := inner(hello)
			config = config.Clone()
			verify := config.VerifyConnection
			config.VerifyConnection = func(state tls.ConnectionState) error {
				shown <- state
				return verify(state)
			}
			return config, err
		}
		for name, expected := range want {
			got := ""
			if _, err := visit(t, service, showing(ca, who[name])); err != nil {
				got = err.Error()
			}
			select {
			case state := <-shown:
				if got == "" && ends.Verified(state.PeerCertificates) {
					got = verified
				} else if got == "" {
					got = in
				}
			default: // crypto/tls has refused it
			}
			if !strings.HasSuffix(got, expected) {
				t.Errorf("%q, %s: %q, want %q", mode, name, got, expected)
			}
		}
	}
}

// A list past its next update refuses everybody whom its authority has signed, with a
// session of before too, unless it is good enough; who is on it stays out.
func TestStaleLists(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t, "ca")
	e := given(t, dir, ca)
	good, revoked := ca.client("good"), ca.client("revoked")
	e.MutualTLSCAs, e.Revocations = write(t, dir, "ca.pem", certify.Chain(ca.Made)), write(t, dir, "ca.crl", ca.revoke(revoked.Leaf.SerialNumber))
	for stale, want := range map[bool]string{false: "bad certificate", true: ""} {
		e.MutualTLSStaleCRL = stale
		ends, clock, _ := open(t, e)
		service, returning := ends.TLS(), showing(ca, &good)
		for i := range 2 {
			if state, err := visit(t, service, returning); err != nil || state.DidResume != (i > 0) {
				t.Fatalf("while the list is fresh, visit %d: resumed %v, %v", i, state.DidResume, err)
			}
		}
		clock.at = clock.at.Add(25 * time.Hour)
		for name, visitor := range map[string]*tls.Config{"anew": showing(ca, &good), "with a session of before": returning} {
			if _, err := visit(t, service, visitor); (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
				t.Errorf("stale lists %v, %s: %v, want %q", stale, name, err, want)
			}
		}
		if _, err := visit(t, service, showing(ca, &revoked)); err == nil {
			t.Errorf("stale lists %v: who is on the list is let in", stale)
		}
	}
}

// What asks for nothing that can be checked is refused: dropped, it would leave the
// endpoint open.
func TestMutualTLSThatIsMissing(t *testing.T) {
	good := given(t, t.TempDir(), newAuthority(t, "ca"))
	for what, m := range map[string]config.Middleware{
		"a mode that verifies": {MutualTLSMode: "require-and-verify"}, "optional": {MutualTLSMode: "verify-if-given"}, "stale lists": {MutualTLSStaleCRL: true},
	} {
		e := good
		e.Middleware = m
		if _, err := termination.New(termination.Config{Endpoint: e}); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "mutual_tls_cas is missing") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
