package service

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// nameServers is how many the server's zones have unless the configuration names them.
const nameServers = 4

// AgentIngresses are the use cases of agent ingresses.
type AgentIngresses = Collection[store.AgentIngress, resource.AgentIngress, resource.AgentIngressCreate, resource.AgentIngressUpdate, *store.AgentIngress]

// AgentIngresses returns the use cases of agent ingresses.
func (s *Service) AgentIngresses() *AgentIngresses {
	return &AgentIngresses{
		service: s, definition: resource.AgentIngresses().Definition, rows: store.Tx.AgentIngresses,
		events: eventTypes{event.IngressCreated, event.IngressUpdated, event.IngressDeleted},
		stored: map[string]string{"domain": "domain"},
		build:  s.buildIngress, change: s.changeIngress, release: s.releaseIngress, show: s.showIngress,
	}
}

func (s *Service) buildIngress(d *draft, by Caller, row *store.AgentIngress, c resource.AgentIngressCreate) error {
	host, err := s.wantedIngress(c.Domain)
	if err != nil {
		return err
	}
	if err := s.checkIngress(d, by.Account, host); err != nil {
		return err
	}
	policy, err := readPolicy(c.CertificateManagementPolicy, postern.CodeAuthorityInvalid, keyRSA)
	if err != nil {
		return err
	}
	row.Domain, row.Description, row.Metadata = host, c.Description, c.Metadata
	return s.applyIngressPolicy(d, row, policy)
}

// applyIngressPolicy puts a policy into force, and has the work on it begin or end.
func (s *Service) applyIngressPolicy(d *draft, row *store.AgentIngress, policy store.CertificatePolicy) error {
	applyPolicy(&row.Policy, &row.PolicySince, policy, d.now)
	return s.certifyIngress(d, row)
}

// certifyIngress has the work on the certificate of an ingress begin or end. Agents can do
// nothing with an ingress that has none: without a policy it gets one as the server's own
// names do.
func (s *Service) certifyIngress(d *draft, row *store.AgentIngress) error {
	policy := row.Policy
	if policy == (store.CertificatePolicy{}) {
		policy.KeyType = s.certifies
	}
	if policy.KeyType == "" {
		return s.dropJob(d, row.ID)
	}
	return s.wantJob(d, store.JobIngress, &row.Meta, row.Domain, policy)
}

// WantIngresses has the work on the certificates of agent ingresses without a policy begin
// or end, as the configuration has it now.
func (c Certificates) WantIngresses(ctx context.Context) error {
	return c.service.change(ctx, func(d *draft) error {
		return eachRow(d.ctx, d.AgentIngresses(), nil, func(row *store.AgentIngress) error {
			if row.Policy != (store.CertificatePolicy{}) {
				return nil
			}
			return c.service.certifyIngress(d, row)
		})
	})
}

func (s *Service) releaseIngress(d *draft, _ Caller, row *store.AgentIngress) error {
	return s.dropJob(d, row.ID)
}

// wantedIngress reads the domain of an ingress, which must be outside our own.
func (s *Service) wantedIngress(text string) (postern.Hostname, error) {
	host, err := parseDomain(text, "invalid")
	if err != nil {
		return "", postern.Errorf(postern.CodeIngressDomainInvalid, "%s", postern.AsError(err).Text())
	}
	for _, domain := range s.domains {
		if store.Holds(domain, host) || store.Holds(host, domain) {
			return "", postern.Errorf(postern.CodeIngressDomainOwn, "%q is, is below, or holds %s, the server's own domain", host, domain)
		}
	}
	if host.Wildcard() || host.Under("invalid") {
		return "", postern.Errorf(postern.CodeIngressDomainInvalid, "%.60q is no whole domain name", text)
	}
	for _, region := range s.regions() {
		if name := "tunnel." + region + "." + string(host); len(name) > maxDomain {
			return "", postern.Errorf(postern.CodeIngressDomainInvalid, "%.60q… is too long: names below it, such as tunnel.%s.…, would have %d characters, and at most %d are allowed", host, region, len(name), maxDomain)
		}
	}
	if err := checkPublic(host, s.domains); err != nil {
		return "", postern.Errorf(postern.CodeIngressDomainInvalid, "%s", postern.AsError(err).Text())
	}
	return host, nil
}

// checkIngress refuses a domain that is an ingress, and one that another account holds
// as an ingress or as a reserved domain, above or below.
func (s *Service) checkIngress(d *draft, account postern.AccountID, host postern.Hostname) error {
	same := store.Equal("domain", string(host))
	foreign := store.And{
		store.Or{store.AtOrAbove(host), store.AtOrBelow(host)},
		store.Compare{Field: "account_id", Op: store.Differs, Value: string(account)},
	}
	ingresses, err := d.AgentIngresses().List(d.ctx, store.Page{Limit: 1, Where: store.Or{same, foreign}})
	if err != nil {
		return err
	}
	if len(ingresses) > 0 {
		return postern.Errorf(postern.CodeIngressExists, "%s, or a domain above or below it, is an agent ingress", host)
	}
	domain, err := s.firstDomain(d, foreign)
	if err == nil && domain.ID != "" {
		err = postern.Errorf(postern.CodeIngressDomainInvalid, "%s, or a domain above or below it, is reserved by another account", host)
	}
	return err
}

func (s *Service) changeIngress(d *draft, _ Caller, row *store.AgentIngress, u resource.AgentIngressUpdate) error {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	if u.CertificateManagementPolicy == nil {
		return nil
	}
	policy, err := readPolicy(u.CertificateManagementPolicy, postern.CodeAuthorityInvalid, keyRSA)
	if err != nil {
		return err
	}
	return s.applyIngressPolicy(d, row, policy)
}

func (s *Service) showIngress(from reader, row *store.AgentIngress) (resource.AgentIngress, error) {
	definition := resource.AgentIngresses().Definition
	shown := resource.AgentIngress{Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), Domain: string(row.Domain)}
	shown.URI = definition.PathOf(row.ID) // ngrok's are relative here, and nowhere else
	for _, name := range s.nameServers {
		shown.NSTargets = append(shown.NSTargets, string(name))
	}
	for _, region := range s.regions() {
		shown.RegionDomains = append(shown.RegionDomains, fmt.Sprintf("tunnel.%s.%s", region, row.Domain))
	}
	var err error
	shown.CertificateManagementPolicy, shown.CertificateManagementStatus, err = s.showManagement(from, row.ID, row.Policy, row.PolicySince)
	return shown, err
}

// Ingresses returns the domains of all agent ingresses, and whose they are.
func (s *Service) Ingresses(ctx context.Context) (map[postern.Hostname]postern.AccountID, error) {
	var owners map[postern.Hostname]postern.AccountID
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		owners = make(map[postern.Hostname]postern.AccountID)
		return eachRow(ctx, tx.AgentIngresses(), nil, func(row *store.AgentIngress) error {
			owners[row.Domain] = row.Account
			return nil
		})
	})
	return owners, err
}
