package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link/chisel"
)

// Finding is one step of the way to a gateway.
type Finding struct {
	Wire    string // that the step belongs to; "" for all
	Name    string
	Text    string
	Details []string
	Took    time.Duration
	Skipped bool
	Err     error
}

// Diagnosis is what was found on the way to a gateway. It holds no secret.
type Diagnosis struct {
	Findings []Finding
	Server   string
	Proxy    string
	Takes    string // the wire that a connector would take; "" for none
	Why      string
}

// Diagnose goes the way to the first gateway of c step by step, as a connector would, and
// each wire that it may take to its end. It offers no remote, so that nothing that runs
// is disturbed. Errors are New's; what is wrong on the way is in the Diagnosis.
func Diagnose(ctx context.Context, c Config) (*Diagnosis, error) {
	if len(c.Gateways) > 0 && len(c.Gateways[0].Remotes) == 0 {
		c.Gateways[0].Remotes = []Remote{{Key: Key{tcp, 1}, Host: "localhost", TargetPort: 1}} // which is never offered
	}
	made, err := New(c)
	if err != nil {
		return nil, err
	}
	d := &diagnosis{route: made.gateways[0].lines[0].route}
	d.setting()
	if d.names(ctx) && d.below(ctx) {
		d.wires(ctx)
	}
	d.conclude()
	return &d.Diagnosis, nil
}

type diagnosis struct {
	Diagnosis
	*route
}

// add notes a step; true: it was passed.
func (d *diagnosis) add(f Finding, began time.Time, err error) bool {
	if !began.IsZero() {
		f.Took = time.Since(began)
	}
	f.Err = err
	d.Findings = append(d.Findings, f)
	return err == nil
}

func (d *diagnosis) setting() {
	d.Server = d.base.shown()
	d.add(Finding{Name: "Server", Text: d.base.url.Redacted()}, time.Time{}, nil)
	proxy := Finding{Name: "Proxy", Text: "none is set for this server"}
	if p := d.net.Proxy; p != nil {
		d.Proxy = p.String()
		proxy.Text = p.String() + ", from " + p.Source
	}
	d.add(proxy, time.Time{}, nil)
}

// names resolves the gateway's name, where that is ours to do.
func (d *diagnosis) names(ctx context.Context) bool {
	host, _ := splitPort(d.base.hostPort())
	f := Finding{Name: "Name", Skipped: true}
	_, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		f.Text = "the address needs no resolver"
	case d.net.Proxy != nil:
		f.Text = "the proxy resolves it"
	case dial.IsLocalhost(host):
		f.Text = "localhost and names below it are this machine"
	default:
		return d.resolve(ctx, host)
	}
	return d.add(f, time.Time{}, nil)
}

func (d *diagnosis) resolve(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, preflightPatience)
	defer cancel()
	resolver, began := d.net.Resolver, time.Now()
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return d.add(Finding{Name: "Name"}, began, postern.Errorf(postern.CodeServerUnreachable, "the name %s cannot be resolved", host).Because(err))
	}
	texts := make([]string, len(addresses))
	for i, address := range addresses {
		texts[i] = address.Unmap().String()
	}
	return d.add(Finding{Name: "Name", Text: strings.Join(texts, ", ")}, began, nil)
}

// below makes a connection, and looks at who vouches for what answers.
func (d *diagnosis) below(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, preflightPatience)
	defer cancel()
	began := time.Now()
	text := "TCP to " + d.base.hostPort()
	if d.net.Proxy != nil {
		text += " through the proxy"
	}
	conn, err := d.net.Dial(ctx, tcp, d.base.hostPort())
	if err != nil {
		return d.add(Finding{Name: "Connection", Text: text}, began, d.unreachable(d.base, err))
	}
	defer conn.Close()
	d.add(Finding{Name: "Connection", Text: text}, began, nil)
	if !d.base.secure {
		return d.add(Finding{Name: "TLS", Text: "none: everybody on the way can read the token", Skipped: true}, time.Time{}, nil)
	}
	began = time.Now()
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _ = splitPort(d.base.hostPort())
	}
	secured := tls.Client(conn, config)
	err = secured.HandshakeContext(ctx)
	f := Finding{Name: "TLS", Text: "the certificate is good for " + config.ServerName}
	chain := secured.ConnectionState().PeerCertificates
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		chain = untrusted.UnverifiedCertificates
	}
	for i, certificate := range chain {
		f.Details = append(f.Details, fmt.Sprintf("certificate %d: %s", i+1, whose(certificate)))
	}
	if err != nil {
		err = d.unreachable(d.base, err)
	}
	return d.add(f, began, err)
}

// whose tells what a certificate is for and who vouches for it: where that is a company's
// proxy, its operator knows the name.
func whose(c *x509.Certificate) string {
	names := strings.Join(c.DNSNames, " ")
	if names == "" {
		names = c.Subject.String()
	}
	const most = 120
	return harmless(fmt.Sprintf("%.*s, issued by %.*s, valid until %s", most, names, most, c.Issuer.String(), c.NotAfter.UTC().Format(time.DateOnly)))
}

// wires asks the gateway what it speaks and goes each way.
func (d *diagnosis) wires(ctx context.Context) {
	began := time.Now()
	at, speaks, err := d.preflight(ctx)
	f := Finding{Name: "Pre-flight", Text: "a server that says nothing of our own link"}
	if speaks {
		f.Text = "a Postern server"
	}
	if at.url.String() != d.base.url.String() {
		f.Text += ", at " + at.url.Redacted()
	}
	if !d.add(f, began, err) {
		return
	}
	g := d.gateway
	if g.Speech == Native || speaks && d.mayBeNative(at) {
		began = time.Now()
		w, latency, err := d.connectNative(ctx, at)
		f := Finding{Wire: "our own link", Name: "Link and token"}
		if err == nil {
			w.Close(stopping())
			d.Takes = w.Name()
			f.Text = fmt.Sprintf("accepted; a round trip takes %.1f ms", float64(latency)/float64(time.Millisecond))
		}
		d.add(f, began, err)
	}
	if g.Speech != Native {
		d.overChisel(ctx, at)
	}
}

// overChisel goes chisel's way. A server of ours refuses a connector without remotes,
// once it knows the token.
func (d *diagnosis) overChisel(ctx context.Context, at address) {
	const wire, noRemote = "chisel's wire", "offers no remote"
	began := time.Now()
	w, latency, err := d.connectChisel(ctx, at, nil)
	if w != nil {
		w.Close(stopping())
	}
	refused, told := errors.AsType[*chisel.Refused](err)
	handshake, noUpgrade := errors.AsType[*chisel.BadHandshake](err)
	if noUpgrade {
		err = postern.Errorf(postern.CodeIntercepted, "what answers opens no WebSocket: %v; a proxy on the way may not let it pass", handshake)
	}
	if noUpgrade || err != nil && !told && !postern.HasCode(err, postern.CodeServerUntrusted) && !postern.HasCode(err, postern.CodeTokenInvalid) {
		d.add(Finding{Wire: wire, Name: "WebSocket"}, began, err)
		return
	}
	d.add(Finding{Wire: wire, Name: "WebSocket", Text: "opened"}, began, nil)
	f := Finding{Wire: wire, Name: "SSH and token", Text: "accepted"}
	switch {
	case told && strings.Contains(refused.Text, noRemote):
		err = nil
	case err == nil:
		f.Text = fmt.Sprintf("accepted; a round trip takes %.1f ms", float64(latency)/float64(time.Millisecond))
	}
	if d.add(f, time.Time{}, err) && d.Takes == "" {
		d.Takes = chisel.Subprotocol
	}
}

// conclude says what a connector would do.
func (d *diagnosis) conclude() {
	if d.Takes != "" {
		d.Why = "The connector takes " + d.Takes + "."
		return
	}
	d.Why = "The connector would not get through."
	for _, f := range d.Findings {
		if f.Err != nil {
			d.Why = fmt.Sprintf("The connector would not get through: %s.", strings.TrimSuffix(postern.AsError(f.Err).Text(), "."))
		}
	}
}
