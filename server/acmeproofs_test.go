package server_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
)

// Without the plain port names are proved in TLS handshakes; a directory that demands an
// external account gets it.
func TestCertificatesByTLS(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	n := startIssuing(t, pebble.Config{EAB: map[string]string{"kid-1": key}}, func(c *server.Config) {
		c.Listen.HTTP = ""
		c.ACME.EABKeyID, c.ACME.EABMACKey = "kid-1", key
		c.ACME.KeyType = "rsa"
	})
	if leaf := n.shows("connect." + domain); leaf.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("the key is %v", leaf.PublicKeyAlgorithm)
	}
	n.reserve("www.customer.org", "")
	n.shows("www.customer.org")
}

// delegate has the test's name server ask the server's own for what is below its domain.
func (n *issuing) delegate() {
	n.names.Ask(func(question dns.Question) []dns.RR {
		if !strings.HasSuffix(question.Name, ".dns."+domain+".") {
			return nil
		}
		answer, err := dns.Exchange(&dns.Msg{MsgHdr: dns.MsgHdr{Id: dns.Id()}, Question: []dns.Question{question}}, n.DNSAddr().String())
		if err != nil || answer.Rcode != dns.RcodeSuccess {
			return []dns.RR{}
		}
		return answer.Answer
	})
}

// With the server's own zone one wildcard is got for all of its names, by delegation, and
// wildcards of accounts in the same way: before the record is there the API names it.
func TestWildcardsByDelegation(t *testing.T) {
	n := startIssuing(t, pebble.Config{}, func(c *server.Config) { c.Listen.DNS = "127.0.0.1:0" })
	n.delegate()
	made := n.reserve("*.customer1.acme.org", "")
	awaits(t, "the API names the record", func() error {
		domain, err := n.Service().ReservedDomains().Get(t.Context(), n.owner, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		job := domain.CertificateManagementStatus.ProvisioningJob
		if job == nil || job.ErrorCode == nil {
			return fmt.Errorf("the work is %+v", job)
		}
		if want := *made.ACMEChallengeCNAMETarget; *job.ErrorCode != "DNS_ERROR" || job.RetriesAt == nil || !strings.Contains(job.Msg, want) || !strings.Contains(job.Msg, "ERR_NGROK_442") {
			t.Errorf("%s: %s, again at %v; want it to name %q", *job.ErrorCode, job.Msg, job.RetriesAt, want)
		}
		return nil
	})
	n.names.Set(t, "_acme-challenge."+domain, fmt.Sprintf("_acme-challenge.%s. 1 IN CNAME %s.", domain, n.Service().ChallengeTarget()))
	n.names.Set(t, "_acme-challenge.customer2.acme.org", "_acme-challenge.customer2.acme.org. 1 IN CNAME nowhere.example.")
	second, err := n.Service().ReservedDomains().Create(t.Context(), n.owner, resource.ReservedDomainCreate{Domain: "*.customer2.acme.org"})
	if err != nil {
		t.Fatal(err)
	}
	n.names.Set(t, "_acme-challenge.customer2.acme.org", fmt.Sprintf("_acme-challenge.customer2.acme.org. 1 IN CNAME %s.", *second.ACMEChallengeCNAMETarget))
	n.shows("any.customer2.acme.org")
}

// Records elsewhere are written by signed updates, or by a program; both are taken away
// again.
func TestWildcardsByWriters(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "record")
	script := fmt.Sprintf("#!/bin/sh\necho \"$1 $2 $3\" >> %s/log\n", dir)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
	zone := &written{texts: make(map[string]bool)}
	n := startIssuing(t, pebble.Config{}, func(c *server.Config) {
		c.ACME.DNS.Exec, c.ACME.DNS.Server = program, "127.0.0.1:1"
		c.ACME.DNS.KeyName, c.ACME.DNS.KeySecret, c.ACME.DNS.Zone = "postern", "c2VjcmV0", domain
	}, func(c *server.Config) { c.ACME.DNS.Server = zone.serve(t) })
	n.names.Ask(zone.answer)
	n.shows("any." + domain)
	awaits(t, "the records are gone", func() error {
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil {
			return err
		}
		if added, removed := strings.Count(string(log), "add _acme-challenge."+domain+" "), strings.Count(string(log), "remove _acme-challenge."+domain+" "); added < 2 || removed != added || zone.left() > 0 {
			return fmt.Errorf("the program added %d and removed %d; %d are left in the zone", added, removed, zone.left())
		}
		return nil
	})
}

// written is a zone that is updated.
type written struct {
	mu    sync.Mutex
	texts map[string]bool
}

// serve starts its name server, and gives the address.
func (w *written) serve(t *testing.T) string {
	t.Helper()
	names := nameserver.NewLocal(t, map[string]string{"postern.": "c2VjcmV0"})
	names.Updates(func(m *dns.Msg) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, record := range m.Ns {
			text, ok := record.(*dns.TXT)
			if !ok || m.Question[0].Name != domain+"." {
				return dns.RcodeRefused
			}
			w.texts[text.Hdr.Name+" "+text.Txt[0]] = text.Hdr.Class == dns.ClassINET
		}
		return dns.RcodeSuccess
	})
	return names.Address
}

func (w *written) answer(question dns.Question) []dns.RR {
	w.mu.Lock()
	defer w.mu.Unlock()
	var records []dns.RR
	for key, there := range w.texts {
		if name, text, _ := strings.Cut(key, " "); there && strings.EqualFold(name, question.Name) {
			records = append(records, &dns.TXT{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{text}})
		}
	}
	return records
}

func (w *written) left() (count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, there := range w.texts {
		if there {
			count++
		}
	}
	return count
}

// What is wrong is told in words that help; certificates and the account with the authority
// survive a restart.
func TestCertificatesThatCannotBeHad(t *testing.T) {
	n := startIssuing(t, pebble.Config{Blocked: []string{"blocked.org"}})
	for name, want := range map[string]string{"elsewhere.org": "records of www.elsewhere.org lead to this server", "blocked.org": "does not issue certificates for"} {
		n.names.Set(t, "www."+name, "www."+name+". 1 IN A 127.0.0.2")
		made := n.reserve("www."+name, "")
		awaits(t, "the API says why", func() error {
			domain, err := n.Service().ReservedDomains().Get(t.Context(), n.owner, made.ID)
			if err != nil {
				t.Fatal(err)
			}
			job := domain.CertificateManagementStatus.ProvisioningJob
			if job == nil || job.ErrorCode == nil {
				return fmt.Errorf("the work is %+v", job)
			}
			if !strings.Contains(job.Msg, want) || job.RetriesAt == nil {
				t.Errorf("%s: %s", *job.ErrorCode, job.Msg)
			}
			return nil
		})
	}
	n.reserve("www.customer.org", "")
	first := n.shows("www.customer.org")
	n.Shutdown()
	again := &issuing{node: start(t, n.config, server.Options{}), authority: n.authority, names: n.names, owner: n.owner, token: n.token}
	if after := again.shows("www.customer.org"); after.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Error("a restart got another certificate")
	}
}
