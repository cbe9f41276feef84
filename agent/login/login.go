package login

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

// patience bounds one attempt to reach the server.
const patience = 10 * time.Second

// Login is one attempt. Address, Hello's token and Dialer are required.
type Login struct {
	Address string // as people type it: a URL or a host of the server
	Pin     string // "sha256:…" of the server's CA or certificate; "" is none
	Roots   *x509.CertPool
	Hello   link.Hello
	// Dialer makes what reaches a server ("host:port") that roots vouch for.
	Dialer func(server string, roots *x509.CertPool) (*session.Dialer, error)
}

// Server is what a login found out.
type Server struct {
	Address string // "host:port", to connect to
	// CA is the certificate, in PEM, that the pin names; nil where the Roots vouch for
	// the server already.
	CA      []byte
	Welcome link.Welcome
}

// Run logs in. Errors are *postern.Error: CodeFlagInvalid (the address, the pin),
// CodeServerUntrusted (nobody vouches for the server, or not whom the pin names; the
// message has the fingerprint), a Dialer's, or what the server answered about the token.
func (l *Login) Run(ctx context.Context) (Server, error) {
	return likeliest(ctx, l, l.try)
}

// likeliest gives what try finds at the first address at which somebody answers as a server
// does, of those that the login's may mean; the error is of the address that was likeliest
// the right one.
func likeliest[T any](ctx context.Context, l *Login, try func(ctx context.Context, address string, pin []byte) (T, error)) (none T, failure error) {
	pin, err := parsePin(l.Pin)
	if err != nil {
		return none, err
	}
	candidates, err := Candidates(l.Address)
	if err != nil {
		return none, err
	}
	for _, address := range candidates {
		found, err := try(ctx, address, pin)
		if err == nil {
			return found, nil
		}
		if failure == nil || weight(err) > weight(failure) {
			failure = err
		}
		if weight(err) == spoke || ctx.Err() != nil {
			break
		}
	}
	return none, failure
}

// What a failure says: the more, the likelier the address was right.
const (
	nobody = iota
	another
	spoke
)

func weight(err error) int {
	switch postern.AsError(err).Code {
	case postern.CodeServerUnreachable:
		return nobody
	case postern.CodeIntercepted:
		return another
	}
	return spoke
}

// try logs in at one address.
func (l *Login) try(ctx context.Context, address string, pin []byte) (Server, error) {
	chain, err := l.probe(ctx, address, l.Roots)
	untrusted := postern.HasCode(err, postern.CodeServerUntrusted)
	if err != nil && !untrusted {
		return Server{}, err
	}
	found, roots := Server{Address: address}, l.Roots
	if pin != nil {
		pinned := find(chain, pin)
		if pinned == nil {
			return Server{}, refusal(address, chain, "none of its certificates has the fingerprint of --ca-pin. Somebody else answers, or the pin is another server's")
		}
		roots = x509.NewCertPool()
		roots.AddCert(pinned)
		if _, err := l.probe(ctx, address, roots); err != nil {
			return Server{}, err
		}
		if untrusted {
			found.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pinned.Raw})
		}
	} else if untrusted {
		return Server{}, refusal(address, chain, "nobody whom this system trusts vouches for it")
	}
	found.Welcome, err = l.verify(ctx, address, roots)
	return found, err
}

// probe makes a connection and ends it: the server learns that somebody dials, and
// nothing else. The chain is what it presented, also where that is not trusted.
func (l *Login) probe(ctx context.Context, address string, roots *x509.CertPool) ([]*x509.Certificate, error) {
	dialer, err := l.Dialer(address, roots)
	if err != nil {
		return nil, err
	}
	var failure error
	for _, over := range dialer.Transport.Ladder() {
		var state *tls.ConnectionState
		conn, err := func() (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return dialer.Dial(ctx, over, func(step session.Step) {
				if step.Stage == session.Secured {
					state = step.TLS
				}
			})
		}()
		if err == nil {
			_ = conn.Close() // nothing was sent
			return state.PeerCertificates, nil
		}
		if state != nil && postern.HasCode(err, postern.CodeServerUntrusted) {
			return state.PeerCertificates, err
		}
		failure = cmp.Or(failure, err)
		if !session.WorthAnother(over, err) {
			break
		}
	}
	return nil, failure
}

// verify shows the server the token, in a session that is ended at once.
func (l *Login) verify(ctx context.Context, address string, roots *x509.CertPool) (link.Welcome, error) {
	dialer, err := l.Dialer(address, roots)
	if err != nil {
		return link.Welcome{}, err
	}
	client, welcome, err := dialer.Connect(ctx, l.Hello, session.Callbacks{})
	if err != nil {
		return link.Welcome{}, err
	}
	client.Close(nil)
	<-client.Done()
	return welcome, nil
}

// Candidates are the addresses at which a server may take agents, the likeliest first:
// a server of example.com does at connect.example.com. Errors are CodeFlagInvalid.
func Candidates(text string) ([]string, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "http://") // a slip; the port is TLS either way
	address, err := session.ParseServer(text)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) != nil || strings.HasPrefix(host, "connect.") {
		return []string{address}, nil
	}
	candidates := []string{net.JoinHostPort("connect."+host, port)}
	for _, label := range []string{"dashboard.", "api."} { // which people have open
		if domain, found := strings.CutPrefix(host, label); found {
			candidates = append(candidates, net.JoinHostPort("connect."+domain, port))
		}
	}
	return append(candidates, address), nil
}

// Fingerprint is how a certificate is named for people to compare.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// parsePin reads "sha256:…" and what openssl prints: with colons, in capitals. "" is
// nil.
func parsePin(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	digits := strings.ToLower(strings.TrimSpace(text))
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "sha256"), ":")
	sum, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--ca-pin %q is not sha256: and 64 hexadecimal digits", text)
	}
	return sum, nil
}

func find(chain []*x509.Certificate, pin []byte) *x509.Certificate {
	for _, certificate := range chain {
		if sum := sha256.Sum256(certificate.Raw); string(sum[:]) == string(pin) {
			return certificate
		}
	}
	return nil
}

// refusal names what was presented and what to do about it.
func refusal(address string, chain []*x509.Certificate, why string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "The certificate of %s is not trusted: %s.\nNothing was sent.", address, why)
	if len(chain) > 0 {
		last := chain[len(chain)-1] // the CA, where the server sends it
		fmt.Fprintf(&text, "\nIt presented %q, fingerprint\n  %s\nWhere the server's operator has the same (\"postern server bootstrap\" prints it), give\n  --ca-pin %s",
			last.Subject.String(), Fingerprint(last), Fingerprint(last))
	}
	return postern.Errorf(postern.CodeServerUntrusted, "%s", text.String())
}

// CAFile is where the CA is kept of the server that a configuration file names.
func CAFile(configuration string) string {
	return filepath.Join(filepath.Dir(configuration), "postern-ca.pem")
}
