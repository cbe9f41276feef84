package control_test

import (
	"context"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

// certificates signs with the name.
type certificates struct{}

func (certificates) Certify(_ context.Context, account postern.AccountID, name postern.Hostname, request *x509.CertificateRequest) (string, time.Duration, error) {
	if request.PublicKey == nil {
		return "", 0, postern.Errorf(postern.CodeInternal, "no key")
	}
	return string(account) + " " + name.String(), time.Minute, nil
}

func (certificates) Directory(name postern.Hostname) *link.ACMEDirectory {
	return &link.ACMEDirectory{URL: "https://acme.test/" + name.String()}
}

func csr(t *testing.T, template x509.CertificateRequest) []byte {
	t.Helper()
	return certify.Request(t, certify.P256(t), template)
}

// A session is given certificates for the names that it has online and whose TLS it ends,
// and for nothing else.
func TestCertify(t *testing.T) {
	w := newWorld(t, func(c *control.Config) { c.Certificates = certificates{} })
	c, other := w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "beta"})
	bound := c.bind(t, request(t, "tls://db.example.com"))
	web := c.bind(t, request(t, "https://web.example.com"))
	atEdge := request(t, "tls://edge.example.com")
	atEdge.Options.Termination = postern.AtEdge
	edge := c.bind(t, atEdge)
	good := csr(t, x509.CertificateRequest{DNSNames: []string{"db.example.com"}})
	broken := append([]byte(nil), good...)
	broken[len(broken)-5]++

	certify := func(c *connected, id string, csr []byte) (link.Certified, error) {
		return c.Binder.(link.Certifier).Certify(t.Context(), link.CertificateRequest{Endpoint: id, CSR: csr})
	}
	got, err := certify(c, bound.ID, good)
	if err != nil || got.Chain != "ac_one db.example.com" || got.After != time.Minute || got.ACME == nil || got.ACME.URL != "https://acme.test/db.example.com" {
		t.Errorf("Certify = %+v, %v", got, err)
	}
	if got, err := certify(c, bound.ID, nil); err != nil || got.Chain != "" || got.ACME == nil {
		t.Errorf("without a request: %+v, %v", got, err)
	}
	for name, try := range map[string]struct {
		by   *connected
		id   string
		csr  []byte
		code postern.Code
	}{
		"another session's": {other, bound.ID, good, postern.CodeNotFound},
		"unknown":           {c, "no such", good, postern.CodeNotFound},
		"https":             {c, web.ID, good, postern.CodeOptionUnsupported},
		"ended at the edge": {c, edge.ID, good, postern.CodeOptionUnsupported},
		"for another name":  {c, bound.ID, csr(t, x509.CertificateRequest{DNSNames: []string{"web.example.com"}}), postern.CodeSigningRequestInvalid},
		"for two names":     {c, bound.ID, csr(t, x509.CertificateRequest{DNSNames: []string{"db.example.com", "web.example.com"}}), postern.CodeSigningRequestInvalid},
		"for no name":       {c, bound.ID, csr(t, x509.CertificateRequest{}), postern.CodeSigningRequestInvalid},
		"for an address too": {c, bound.ID, csr(t, x509.CertificateRequest{DNSNames: []string{"db.example.com"}, IPAddresses: []net.IP{{127, 0, 0, 1}}}),
			postern.CodeSigningRequestInvalid},
		"without the key": {c, bound.ID, broken, postern.CodeSigningRequestInvalid},
		"no request":      {c, bound.ID, []byte("hello"), postern.CodeSigningRequestInvalid},
	} {
		if got, err := certify(try.by, try.id, try.csr); !postern.HasCode(err, try.code) || got.Chain != "" {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, try.code)
		}
	}
	if err := c.Unbind(t.Context(), bound.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := certify(c, bound.ID, good); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("offline: %v", err)
	}
}

// A server without a CA says so.
func TestCertifyWithoutACA(t *testing.T) {
	c := newWorld(t).connect(link.Hello{Token: "alpha"})
	bound := c.bind(t, request(t, "tls://db.example.com"))
	_, err := c.Binder.(link.Certifier).Certify(t.Context(), link.CertificateRequest{Endpoint: bound.ID})
	if !postern.HasCode(err, postern.CodeOptionUnsupported) {
		t.Errorf("Certify = %v", err)
	}
}
