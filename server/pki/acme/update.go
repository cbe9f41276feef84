package acme

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// DefaultTSIGAlgorithm signs updates unless another one is wanted.
const DefaultTSIGAlgorithm = "hmac-sha256"

// TSIGAlgorithms are those that can sign updates (RFC 8945 §6).
func TSIGAlgorithms() []string {
	return []string{"hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"}
}

const (
	updateTTL  = 60
	updateTime = 15 * time.Second
	// mostSkew is how far the name server's clock may be off, in seconds (RFC 8945 §10).
	mostSkew = 300
)

// Update writes records by dynamic updates (RFC 2136), over TCP.
type Update struct {
	Server    string           // host:port of the zone's primary
	Zone      postern.Hostname // "": the server is asked
	KeyName   string           // "": updates are not signed
	Secret    postern.Secret   // base64
	Algorithm string           // one of TSIGAlgorithms
	Wait      time.Duration    // until the zone's other servers have what was written
}

var _ Writer = Update{}

// Add implements Writer.
func (u Update) Add(ctx context.Context, name postern.Hostname, text string) error {
	err := u.send(ctx, name, func(m *dns.Msg) { m.Insert([]dns.RR{record(name, text)}) })
	if err != nil {
		return err
	}
	return rest(ctx, u.Wait)
}

// Remove implements Writer. What is not there is removed.
func (u Update) Remove(ctx context.Context, name postern.Hostname, text string) error {
	return u.send(ctx, name, func(m *dns.Msg) { m.Remove([]dns.RR{record(name, text)}) })
}

func record(name postern.Hostname, text string) dns.RR {
	return &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(string(name)), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: updateTTL}, Txt: []string{text}}
}

func (u Update) send(ctx context.Context, name postern.Hostname, change func(*dns.Msg)) error {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	zone := dns.Fqdn(string(u.Zone))
	if u.Zone == "" {
		var err error
		if zone, err = u.zoneOf(ctx, name); err != nil {
			return err
		}
	}
	message := new(dns.Msg).SetUpdate(zone)
	change(message)
	answer, err := u.exchange(ctx, message)
	if err != nil {
		return notWritten(name, "the name server %s cannot be asked to update %s: %v", u.Server, zone, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return notWritten(name, "the name server %s refuses to update %s: %s; it has to allow updates by the key %q", u.Server, zone, dns.RcodeToString[answer.Rcode], u.KeyName)
	}
	return nil
}

// zoneOf asks which zone has the name: the one whose SOA record the answer has, as it is
// or for a name that does not exist.
func (u Update) zoneOf(ctx context.Context, name postern.Hostname) (string, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(string(name)), dns.TypeSOA)
	answer, err := u.exchange(ctx, question)
	if err != nil {
		return "", notWritten(name, "the name server %s does not answer: %v", u.Server, err)
	}
	for _, from := range [][]dns.RR{answer.Answer, answer.Ns} {
		for _, record := range from {
			if soa, ok := record.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, question.Question[0].Name) {
				return soa.Hdr.Name, nil
			}
		}
	}
	return "", notWritten(name, "the name server %s has no zone for it; set acme.dns.rfc2136.zone", u.Server)
}

func (u Update) exchange(ctx context.Context, message *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: "tcp", Timeout: updateTime}
	if u.KeyName != "" {
		key := dns.CanonicalName(u.KeyName)
		client.TsigSecret = map[string]string{key: u.Secret.Reveal()}
		message.SetTsig(key, dns.Fqdn(u.Algorithm), mostSkew, time.Now().Unix())
	}
	answer, _, err := client.ExchangeContext(ctx, message, u.Server)
	return answer, err
}

func notWritten(name postern.Hostname, format string, args ...any) *Failure {
	return &Failure{Code: postern.CodeRecordNotWritten, Message: fmt.Sprintf("The TXT record %s could not be written: %s", name, fmt.Sprintf(format, args...))}
}

// rest waits.
func rest(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
