package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
)

// patience bounds one way to the server, and the check of the token.
const patience = 10 * time.Second

// Config is what to look at. Dialer is required.
type Config struct {
	Dialer  *session.Dialer
	Source  string     // where the server's address came from
	Hello   link.Hello // whose Token is checked; "" checks none
	Version string
}

// Run goes all the ways that the dialer may take, one after the other, and returns
// when all are known or ctx has ended. It makes a session for the token's sake, which
// has no endpoints and ends at once.
func Run(ctx context.Context, c Config) *Report {
	d := &diagnosis{Config: c, report: &Report{
		Version: c.Version, Server: c.Dialer.Server, Transport: c.Dialer.Transport.String(),
	}}
	d.setting()
	d.names(ctx)
	d.ladder(ctx)
	d.token(ctx)
	d.conclude()
	return d.report
}

type diagnosis struct {
	Config
	report *Report
	takes  session.Transport // the first that works, as an agent would find
	over   bool              // an agent would have stopped trying
	failed []error           // of the ways before
	tried  []session.Transport
	tokens error
}

// setting says what was configured.
func (d *diagnosis) setting() {
	text := d.Dialer.Server
	if d.Source != "" {
		text += ", from " + d.Source
	}
	d.report.add(Check{Name: "Server", Text: text}, nil)
	proxy := d.Dialer.Net.Proxy
	if proxy == nil {
		d.report.add(Check{Name: "Proxy", Text: "none is set for this server"}, nil)
		return
	}
	d.report.Proxy = proxy.String()
	d.report.add(Check{Name: "Proxy", Text: proxy.String() + ", from " + proxy.Source}, nil)
}

// names resolves the server's name, where that is ours to do.
func (d *diagnosis) names(ctx context.Context) {
	host, _, _ := net.SplitHostPort(d.Dialer.Server)
	c := Check{Name: "Name", Status: Skipped}
	_, err := netip.ParseAddr(host)
	switch {
	case err == nil:
		c.Text = "the address needs no resolver"
	case d.Dialer.Net.Proxy != nil:
		c.Text = "the proxy resolves it"
	case dial.IsLocalhost(host):
		c.Text = "localhost and names below it are this machine"
	default:
		d.resolve(ctx, host)
		return
	}
	d.report.add(c, nil)
}

func (d *diagnosis) resolve(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resolver := d.Dialer.Net.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	began := time.Now()
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	c := Check{Name: "Name", Took: time.Since(began)}
	if err != nil {
		err = postern.Errorf(postern.CodeServerUnreachable, "the name %s cannot be resolved", host).Because(err)
	}
	texts := make([]string, len(addresses))
	for i, address := range addresses {
		texts[i] = address.Unmap().String()
	}
	c.Text = strings.Join(texts, ", ")
	d.report.add(c, err)
}

// ladder goes every way; what comes after a success is for information.
func (d *diagnosis) ladder(ctx context.Context) {
	for _, over := range d.Dialer.Transport.Ladder() {
		err := d.way(ctx, over)
		if d.takes != "" || d.over {
			continue
		}
		if err == nil {
			d.takes = over
			continue
		}
		d.tried, d.failed = append(d.tried, over), append(d.failed, err)
		d.over = !session.WorthAnother(over, err)
	}
}

// way goes one way to its end, which is an answer of the server.
func (d *diagnosis) way(ctx context.Context, over session.Transport) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := d.Dialer.Dial(ctx, over, func(s session.Step) { d.step(over, s) })
	if err != nil {
		return err
	}
	began := time.Now()
	region, latency, err := native.Inspect(ctx, conn)
	d.report.add(Check{
		Transport: string(over), Name: "Link", Took: time.Since(began),
		Text: fmt.Sprintf("a Postern server answers, region %s; a round trip takes %.1f ms", region, float64(latency)/float64(time.Millisecond)),
	}, err)
	return err
}

// step puts a step of the dialer into words.
func (d *diagnosis) step(over session.Transport, s session.Step) {
	c := Check{Transport: string(over), Took: s.Took}
	switch s.Stage {
	case session.Dialled:
		c.Name, c.Text = "Connection", "TCP to "+d.Dialer.Server
		if d.Dialer.Net.Proxy != nil {
			c.Text += " through the proxy"
		}
	case session.OuterTLS:
		c.Name, c.Text = "HTTPS", "TLS with whoever ends it on the way"
	case session.Upgrade:
		c.Name, c.Text = "WebSocket", "opened"
	case session.Secured:
		c.Name, c.Text = "TLS to the server", "the server is who it says"
	}
	c.Details = describe(s.TLS, s.Err)
	d.report.add(c, s.Err)
}

// describe tells what a handshake gave, and names everybody in the chain where it is
// not trusted.
func describe(state *tls.ConnectionState, err error) []string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	if err != nil {
		details := make([]string, 0, len(state.PeerCertificates))
		for i, certificate := range state.PeerCertificates {
			details = append(details, fmt.Sprintf("certificate %d: %s", i+1, who(certificate)))
		}
		return details
	}
	protocol := state.NegotiatedProtocol
	if protocol == "" {
		protocol = "no protocol agreed"
	}
	return []string{tls.VersionName(state.Version) + ", " + protocol, who(leaf)}
}

func who(c *x509.Certificate) string {
	return fmt.Sprintf("%s, issued by %s, valid until %s",
		printable(names(c)), printable(c.Issuer.String()), c.NotAfter.UTC().Format(time.DateOnly))
}

func names(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return c.Subject.String()
	}
	if len(all) > mostNames {
		all = append(all[:mostNames], "…")
	}
	return strings.Join(all, " ")
}

const (
	mostNames = 4
	mostText  = 160
)

// printable keeps what a stranger's certificate says from moving the cursor.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
	if len(text) > mostText {
		text = text[:mostText] + "…"
	}
	return text
}

// token makes a session over the way that works.
func (d *diagnosis) token(ctx context.Context) {
	c := Check{Name: "Authtoken"}
	switch {
	case d.takes == "":
		c.Status, c.Text = Skipped, "no way to the server was found"
	case d.Hello.Token == "":
		c.Status, c.Text = Warning, "none is configured, so none was checked"
	default:
		var took time.Duration
		c.Text, took, d.tokens = d.authenticate(ctx)
		c.Took = took
	}
	d.report.add(c, d.tokens)
}

func (d *diagnosis) authenticate(ctx context.Context) (text string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := d.Dialer.Dial(ctx, d.takes, nil)
	if err != nil {
		return "", 0, err
	}
	began := time.Now()
	client, welcome, err := native.Connect(ctx, conn, native.ClientConfig{Hello: d.Hello, Logger: d.Dialer.Logger})
	took = time.Since(began)
	if err != nil {
		return "", took, err
	}
	client.Close(nil)
	<-client.Closed()
	text = "accepted"
	if welcome.AccountName != "" {
		text += ", account " + printable(welcome.AccountName)
	}
	return text, took, nil
}

// conclude says what an agent would do.
func (d *diagnosis) conclude() {
	r := d.report
	r.Takes = string(d.takes)
	r.OK = d.takes != "" && d.tokens == nil
	var why strings.Builder
	switch {
	case d.takes != "":
		fmt.Fprintf(&why, "The agent takes %s", d.takes)
	case len(d.failed) > 0:
		why.WriteString("The agent would not get through")
	default:
		why.WriteString("Nothing was tried") // a ladder is never empty
	}
	if len(d.Dialer.Transport.Ladder()) == 1 {
		fmt.Fprintf(&why, "; the transport is fixed to %s", d.Dialer.Transport)
	}
	for i, err := range d.failed {
		fmt.Fprintf(&why, "; %s did not work: %s", d.tried[i], postern.AsError(err).Text())
	}
	if d.takes == "" && d.over && len(d.tried) < len(d.Dialer.Transport.Ladder()) {
		why.WriteString("; another transport would end the same way, so it tries none")
	}
	why.WriteString(".")
	if d.tokens != nil {
		why.WriteString(" The server does not let it in: " + postern.AsError(d.tokens).Text() + ".")
	}
	r.Why = why.String()
}
