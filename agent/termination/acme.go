package termination

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
)

// ProtocolACME is the protocol name of an ACME server that looks for its proof (RFC 8737).
const ProtocolACME = "acme-tls/1"

// FromServer as an ACME's Directory is the one that the Postern server offers.
const FromServer = "server"

// ACME says from where the agent itself obtains certificates. The zero value has it ask
// the server alone.
type ACME struct {
	Directory string         // URL (RFC 8555 §7.1.1), FromServer, or "" for none
	RootsFile string         // PEM file of who may vouch for it; "" is the system's
	Email     string         // of who is told about certificates; "" for nobody
	KeyID     string         // of an external account binding (RFC 8555 §7.3.4); "" for none
	MACKey    postern.Secret // of it, in base64url
	// Keep is the directory where keys and certificates stay from one start to the next;
	// "": they do not.
	Keep string
	Dial dial.Dialer // the way out; the zero value is direct
}

// orderPatience bounds one order, validation included.
const orderPatience = 3 * time.Minute

// directory is where certificates are ordered; nil: nowhere.
func (a *automatic) directory(ctx context.Context, id string, certifier link.Certifier) (*link.ACMEDirectory, error) {
	own := &a.config.ACME
	switch {
	case own.Directory == "":
		return nil, nil
	case own.Directory != FromServer:
		roots, err := own.roots()
		return &link.ACMEDirectory{URL: own.Directory, Roots: roots, Email: own.Email}, err
	case certifier == nil:
		return nil, nil
	}
	offer, err := certifier.Certify(ctx, link.CertificateRequest{Endpoint: id})
	if err != nil || offer.ACME == nil {
		return nil, err
	}
	if own.Email != "" {
		offer.ACME.Email = own.Email
	}
	return offer.ACME, nil
}

// order has the ACME server certify a new key, unless what was kept is still good.
func (a *automatic) order(ctx context.Context, host postern.Hostname, d *link.ACMEDirectory) (*held, error) {
	own := &a.config.ACME
	if kept := own.load(d.URL, host); kept != nil && a.config.Now().Before(kept.renew) && a.now() == nil {
		return kept, nil
	}
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	client, err := own.client(d)
	if err != nil {
		return nil, err
	}
	defer client.HTTPClient.CloseIdleConnections()
	client.ChallengeSolvers = map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: &a.challenges}
	account, err := own.account(ctx, client.Client, d, a.log)
	if err != nil {
		return nil, refused(d, err)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	chains, err := client.ObtainCertificateForSANs(ctx, account, key, []string{host.String()})
	if err != nil {
		return nil, refused(d, err)
	}
	certificate, err := pair(chains[0].ChainPEM, key, host)
	if err != nil {
		return nil, err
	}
	h := &held{certificate: certificate, host: host, renew: a.renewal(certificate.Leaf), acme: true}
	if info := chains[0].RenewalInfo; info != nil && info.HasWindow() {
		h.renew = info.SelectedTime
	}
	own.save(d.URL, h, key, a.log)
	return h, nil
}

func refused(d *link.ACMEDirectory, err error) error {
	return postern.Errorf(postern.CodeServerUnreachable, "the ACME server %s gives no certificate: %v", d.URL, err).Because(err)
}

// client speaks to the ACME server.
func (c *ACME) client(d *link.ACMEDirectory) (*acmez.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.Roots != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(d.Roots)) {
			return nil, postern.Errorf(postern.CodeMaterialInvalid, "there is no certificate in what is to vouch for the ACME server %s", d.URL)
		}
	}
	transport := &http.Transport{DialContext: c.Dial.Dial, TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: time.Minute}
	return &acmez.Client{Client: &acme.Client{
		Directory: d.URL, HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}, UserAgent: "postern",
	}}, nil
}

// account is the agent's at the ACME server, made there at the first order.
func (c *ACME) account(ctx context.Context, client *acme.Client, d *link.ACMEDirectory, log logger) (acme.Account, error) {
	key, err := c.key(d.URL, "account", log)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if d.Email != "" {
		account.Contact = []string{"mailto:" + d.Email}
	}
	if c.KeyID != "" {
		if err := account.SetExternalAccountBinding(ctx, client, acme.EAB{KeyID: c.KeyID, MACKey: c.MACKey.Reveal()}); err != nil {
			return acme.Account{}, err
		}
	}
	return client.NewAccount(ctx, account)
}

// challenges answers the ACME server that looks for its proof. It is an acmez.Solver.
type challenges struct {
	mu      sync.Mutex
	answers map[string]*tls.Config // by host
}

// Present implements acmez.Solver.
func (c *challenges) Present(_ context.Context, challenge acme.Challenge) error {
	certificate, err := acmez.TLSALPN01ChallengeCert(challenge)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = make(map[string]*tls.Config)
	}
	c.answers[challenge.Identifier.Value] = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}, NextProtos: []string{ProtocolACME},
	}
	return nil
}

// CleanUp implements acmez.Solver.
func (c *challenges) CleanUp(_ context.Context, challenge acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, challenge.Identifier.Value)
	return nil
}

// answer is nil where nothing is to be proven.
func (c *challenges) answer(host string) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[host]
}

var _ acmez.Solver = (*challenges)(nil)
