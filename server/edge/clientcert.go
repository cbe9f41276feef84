package edge

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/relay/http1"
)

// What services are told of a visitor's certificate. The last two are RFC 9440's.
const (
	headerCertVerified    = "Postern-Client-Cert-Verified"
	headerCertSubject     = "Postern-Client-Cert-Subject"
	headerCertIssuer      = "Postern-Client-Cert-Issuer"
	headerCertSerial      = "Postern-Client-Cert-Serial"
	headerCertFingerprint = "Postern-Client-Cert-Fingerprint"
	headerCertSANs        = "Postern-Client-Cert-Sans"
	headerCert            = "Client-Cert"
	headerCertChain       = "Client-Cert-Chain"
)

// mostCertificateHeader bounds the certificates that are sent along, in bytes of DER: most
// services take a head of 8 KiB at least. What does not fit is left out, whole.
const mostCertificateHeader = 6 << 10

// mostCertificateText bounds each of the other lines.
const mostCertificateText = 1 << 10

// certified is what a visitor's certificate was found to be worth. It never changes.
type certified struct {
	by      *mutualTLS // who asked
	checked time.Time
	client  *postern.ClientCertificate // nil: the visitor has shown none
	lines   []byte                     // for services, as HTTP/1.1 has them
	header  []headerLine
}

// certified makes one for a connection that has passed.
func (m *mutualTLS) certified(state tls.ConnectionState, now time.Time) *certified {
	c := &certified{by: m, checked: now}
	sent := state.PeerCertificates
	verified := m.policy.Verified(sent, now)
	if c.client = mutualtls.Describe(sent, verified); c.client == nil {
		return c
	}
	c.header = certificateHeader(c.client)
	for _, line := range c.header {
		c.lines = http1.AppendLine(c.lines, line.name, line.value)
	}
	return c
}

func shownBy(refusal *mutualtls.Refusal) []*x509.Certificate {
	if refusal.Certificate == nil {
		return nil
	}
	return []*x509.Certificate{refusal.Certificate}
}

// certificateHeader is what the service is told.
func certificateHeader(c *postern.ClientCertificate) []headerLine {
	verified := "false"
	if c.Verified {
		verified = "true"
	}
	lines := []headerLine{
		{headerCertVerified, verified},
		{headerCertSubject, bounded(c.Subject)}, {headerCertIssuer, bounded(c.Issuer)},
		{headerCertSerial, bounded(c.Serial)}, {headerCertFingerprint, c.Fingerprint},
	}
	if names := alternativeNames(c); names != "" {
		lines = append(lines, headerLine{headerCertSANs, names})
	}
	size := len(c.Chain[0].Raw)
	if size > mostCertificateHeader {
		return lines
	}
	lines = append(lines, headerLine{headerCert, byteSequence(c.Chain[0])})
	var chain []string
	for _, one := range c.Chain[1:] {
		size += len(one.Raw)
		chain = append(chain, byteSequence(one))
	}
	if len(chain) > 0 && size <= mostCertificateHeader {
		lines = append(lines, headerLine{headerCertChain, strings.Join(chain, ", ")})
	}
	return lines
}

// byteSequence is a certificate as RFC 9440 §2.1 has it.
func byteSequence(c *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":"
}

// alternativeNames lists the names of a certificate by their kinds. A comma within a name
// is escaped, so that a name cannot pretend to be two.
func alternativeNames(c *postern.ClientCertificate) string {
	var all []string
	for _, kind := range []struct {
		name   string
		values []string
	}{{"DNS", c.DNSNames}, {"email", c.EmailAddresses}, {"URI", c.URIs}, {"IP", c.IPAddresses}} {
		for _, value := range kind.values {
			all = append(all, kind.name+":"+mutualtls.ASCII(strings.NewReplacer(`\`, `\5C`, ",", `\2C`).Replace(value)))
		}
	}
	size := 0
	for i, one := range all {
		if size += len(one) + 1; size > mostCertificateText {
			return strings.Join(all[:i], ",") // whole names only
		}
	}
	return strings.Join(all, ",")
}

func bounded(text string) string {
	return strings.TrimSpace(text[:min(len(text), mostCertificateText)])
}

// namesCertificate tells whether a visitor's line would say something of its certificate.
func namesCertificate(name []byte) bool {
	var space [mostFolded]byte
	switch string(fold(space[:0], name)) {
	case "client-cert", "client-cert-chain":
		return true
	}
	return false
}

// writeCertificate writes what is known of the visitor's certificate, last, and takes out
// what others say of it.
func (v *visitor) writeCertificate(out http.Header) {
	shown := v.certified.Load()
	if shown == nil {
		return
	}
	delete(out, headerCert)
	delete(out, headerCertChain)
	for _, line := range shown.header {
		out[line.name] = []string{line.value}
	}
}

// certificateAttrs are the access log's fields of a visitor's certificate.
func (v *visitor) certificateAttrs() []slog.Attr {
	shown := v.certified.Load()
	if shown == nil || shown.client == nil {
		return nil
	}
	return []slog.Attr{
		slog.String("client_cert_subject", shown.client.Subject),
		slog.String("client_cert_serial", shown.client.Serial),
		slog.String("client_cert_fingerprint", shown.client.Fingerprint),
		slog.Bool("client_cert_verified", shown.client.Verified),
	}
}
