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

const host = "api.site.test"

// given is an endpoint whose certificate lies in files.
func given(t *testing.T, dir string, ca *authority) config.Endpoint {
	t.Helper()
	crt, key := ca.server(host).PEM(t)
	return config.Endpoint{
		Name: "api", URL: postern.URLRequest{Scheme: postern.TLS, Host: host}, Termination: config.AtAgent,
		Certificate: write(t, dir, "crt.pem", crt), Key: write(t, dir, "key.pem", key),
	}
}

// clock is moved by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass() { c.at = c.at.Add(2 * time.Second) }

func open(t *testing.T, e config.Endpoint) (*termination.Termination, *clock, *journal) {
	t.Helper()
	c, j := &clock{time.Now()}, &journal{}
	ends, err := termination.New(termination.Config{Endpoint: e, Now: c.now, Logger: j.logger()})
	if err != nil {
		t.Fatal(err)
	}
	return ends, c, j
}

// S1-44: files that have changed are read again, at the next visitor; what cannot be used
// changes nothing and is told once.
func TestChangedFiles(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t, "ca")
	e := given(t, dir, ca)
	ends, clock, log := open(t, e)
	visitor := &tls.Config{RootCAs: ca.Pool(), ServerName: host}
	serial := func() int64 {
		t.Helper()
		state, err := visit(t, ends.TLS(), visitor)
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.Int64()
	}
	first := serial()
	next := ca.server(host)
	crt, key := next.PEM(t)
	write(t, dir, "crt.pem", "\n"+crt) // before the key has come
	clock.pass()
	if serial() != first {
		t.Error("half of a change is in force")
	}
	clock.pass()
	if serial() != first || strings.Count(log.String(), "cannot be used") != 1 {
		t.Errorf("the log: %s", log)
	}
	write(t, dir, "key.pem", "\n"+key)
	clock.pass()
	if got := serial(); got != next.SerialNumber.Int64() {
		t.Errorf("serial number %d after the change, want %v", got, next.SerialNumber)
	}
}

// S1-51: visitors whose certificates one of the authorities has signed are let in, no
// others; and not those on the revocation list, with a session of before either.
func TestVisitorsWithCertificates(t *testing.T) {
	dir, ca, other := t.TempDir(), newAuthority(t, "ca"), newAuthority(t, "other")
	e := given(t, dir, ca)
	e.MutualTLSCAs, e.Revocations = write(t, dir, "ca-crt.pem", certify.Chain(ca.Made)), write(t, dir, "ca.crl", ca.revoke())
	ends, clock, _ := open(t, e)
	good, later, stranger := ca.client("good"), ca.client("later"), other.client("stranger")
	config := ends.TLS()
	with := func(c *tls.Certificate) *tls.Config { return showing(ca, c) }
	for name, try := range map[string]struct {
		certificate *tls.Certificate
		in          bool
	}{"nobody": {nil, false}, "stranger": {&stranger, false}, "good": {&good, true}} {
		if _, err := visit(t, config, with(try.certificate)); (err == nil) != try.in {
			t.Errorf("%s: %v", name, err)
		}
	}
	returning := with(&later)
	if state, err := visit(t, config, returning); err != nil || state.DidResume {
		t.Fatalf("%v, resumed: %v", err, state.DidResume)
	}
	if state, err := visit(t, config, returning); err != nil || !state.DidResume {
		t.Fatalf("%v, resumed: %v", err, state.DidResume)
	}
	write(t, dir, "ca.crl", "\n\n"+ca.revoke(later.Leaf.SerialNumber))
	clock.pass()
	if _, err := visit(t, config, returning); err == nil {
		t.Error("a session of before its certificate was revoked is resumed")
	}
	if _, err := visit(t, config, with(&good)); err != nil {
		t.Errorf("after another was revoked: %v", err)
	}
}

// S1-45: what people give for something else is named; what is in the wrong order works.
func TestWhatIsGiven(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t, "ca")
	good := given(t, dir, ca)
	_, otherKey := ca.server("other.test").PEM(t)
	caKey := write(t, dir, "ca-key.pem", certify.Key(t, ca.Key))
	for name, try := range map[string]struct {
		change func(*config.Endpoint)
		code   postern.Code
		text   string
	}{
		"a key for a CA":     {func(e *config.Endpoint) { e.MutualTLSCAs = caKey }, postern.CodeMaterialInvalid, "is a private key, expected a CA certificate"},
		"another's key":      {func(e *config.Endpoint) { e.Key = write(t, dir, "server-key.pem", otherKey) }, postern.CodeMaterialInvalid, "does not belong to"},
		"the two swapped":    {func(e *config.Endpoint) { e.Certificate, e.Key = e.Key, e.Certificate }, postern.CodeMaterialInvalid, "the wrong way round"},
		"no such file":       {func(e *config.Endpoint) { e.Certificate = "absent.pem" }, postern.CodeFileUnreadable, "absent.pem: no such file"},
		"no passphrase file": {func(e *config.Endpoint) { e.PassphraseFile = "absent" }, postern.CodeFileUnreadable, "key_passphrase_file"},
		"a list of another": {func(e *config.Endpoint) {
			e.MutualTLSCAs, e.Revocations = certify.Chain(ca.Made), newAuthority(t, "x").revoke()
		}, postern.CodeMaterialInvalid, "none of the CA certificates"},
	} {
		e := good
		try.change(&e)
		if _, err := termination.New(termination.Config{Endpoint: e}); !postern.HasCode(err, try.code) || !strings.Contains(err.Error(), try.text) {
			t.Errorf("%s: %v, want %s %q", name, err, try.code, try.text)
		}
	}
	other := ca.server(host)
	e := good
	e.Certificate, e.Key = certify.Chain(ca.Made, other), certify.Key(t, other.Key)
	ends, _, log := open(t, e)
	if _, err := visit(t, ends.TLS(), &tls.Config{RootCAs: ca.Pool(), ServerName: host}); err != nil || !strings.Contains(log.String(), "defect=order") {
		t.Errorf("a chain in another order: %v, and the log says %s", err, log)
	}
}
