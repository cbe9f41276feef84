package service

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// DNS looks records up. *net.Resolver is one.
type DNS interface {
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// dnsTime bounds all look-ups for one reservation.
const dnsTime = 5 * time.Second

// proofLabel is where the record lies that proves a domain to be an account's.
const proofLabel = "_postern-challenge."

// askDNS refuses a domain outside our own that another account could be about to take
// over: one whose records point here already, from somebody's former reservation; and,
// where the server asks for it, one without a proof. On a server with one account nobody
// can take anything over. What cannot be looked up does not point here, and proves
// nothing.
func (s *Service) askDNS(ctx context.Context, account postern.AccountID, host postern.Hostname) error {
	if s.dns == nil && !s.prove || s.ownDomain(host) {
		return nil
	}
	alone, err := s.alone(ctx)
	if err != nil || alone {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	if s.prove {
		if err := s.checkProof(ctx, account, host); err != nil {
			return err
		}
	}
	if s.dns == nil {
		return nil
	}
	return s.checkDangling(ctx, host)
}

// alone tells whether the server has no more than one account.
func (s *Service) alone(ctx context.Context) (alone bool, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		accounts, err := tx.Accounts().List(ctx, "", 2)
		alone = len(accounts) < 2
		return err
	})
	return alone, err
}

// checkProof looks for the record that only who holds the domain's zone can make.
func (s *Service) checkProof(ctx context.Context, account postern.AccountID, host postern.Hostname) error {
	name, want := proofLabel+string(host), s.domainProof(account)
	if host.Wildcard() {
		name = proofLabel + string(host.Parent())
	}
	var found []string
	if s.dns != nil {
		found, _ = s.dns.LookupTXT(ctx, name+".") // no record is no proof, for whatever reason
	}
	if slices.Contains(found, want) {
		return nil
	}
	return postern.Errorf(postern.CodeDomainUnproven, "create the TXT record %s with the value %q, and reserve %s again", name, want, host)
}

// domainProof is the value of an account's records.
func (s *Service) domainProof(account postern.AccountID) string {
	code := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(s.accountCode("domain proof", account)[:20])
	return "postern-" + strings.ToLower(code)
}

// checkDangling refuses a domain whose records lead to us before it is reserved. A
// wildcard is asked for by a name that nobody has.
func (s *Service) checkDangling(ctx context.Context, host postern.Hostname) error {
	name := string(host) + "."
	if host.Wildcard() {
		name = "postern-" + strings.ToLower(rand.Text())[:12] + "." + string(host.Parent()) + "."
	}
	if target, err := s.dns.LookupCNAME(ctx, name); err == nil && !strings.EqualFold(target, name) {
		if at := postern.Hostname(strings.ToLower(strings.TrimSuffix(target, "."))); s.ownDomain(at) || slices.Contains(s.domains, at) {
			return postern.Errorf(postern.CodeDomainDanglingCNAME, "%s has a CNAME record that points to %s", host, at)
		}
	}
	addresses, err := s.dns.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil //nolint:nilerr // it does not point here
	}
	for _, own := range s.ownAddresses(ctx) {
		if slices.Contains(addresses, own) {
			return postern.Errorf(postern.CodeDomainDanglingAddress, "%s has an address record for %s, which is this server's", host, own)
		}
	}
	return nil
}

// ownAddresses are those to which visitors and agents are led.
func (s *Service) ownAddresses(ctx context.Context) []netip.Addr {
	var own []netip.Addr
	for _, domain := range s.domains {
		for _, name := range []string{"connect." + string(domain) + ".", string(domain) + "."} {
			found, _ := s.dns.LookupNetIP(ctx, "ip", name)
			own = append(own, found...)
		}
	}
	return own
}
