package service

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// ReservedDomains are the use cases of reserved domains.
type ReservedDomains struct {
	reservedDomains
}

type reservedDomains = Collection[store.ReservedDomain, resource.ReservedDomain, resource.ReservedDomainCreate, resource.ReservedDomainUpdate, *store.ReservedDomain]

// ReservedDomains returns the use cases of reserved domains.
func (s *Service) ReservedDomains() *ReservedDomains {
	return &ReservedDomains{reservedDomains{
		service: s, definition: resource.ReservedDomains().Definition, rows: store.Tx.ReservedDomains, empty: postern.CodeDomainUnchanged,
		events: eventTypes{event.DomainCreated, event.DomainUpdated, event.DomainDeleted},
		stored: map[string]string{"domain": "domain"},
		build:  s.buildDomain, change: s.changeDomain, release: s.releaseDomain, show: s.showDomain,
	}}
}

// Create reserves a domain. What DNS has to say about it is asked first: no transaction
// waits for that.
func (r *ReservedDomains) Create(ctx context.Context, by Caller, c resource.ReservedDomainCreate) (resource.ReservedDomain, error) {
	if err := r.mayChange(by); err != nil {
		return resource.ReservedDomain{}, err
	}
	host, err := r.service.wantedDomain(c)
	if err != nil {
		return resource.ReservedDomain{}, err
	}
	if err := r.service.askDNS(ctx, by.Account, host); err != nil {
		return resource.ReservedDomain{}, err
	}
	return r.reservedDomains.Create(ctx, by, c)
}

// DetachPolicy ends a domain's certificate management policy. A domain without one stays
// as it is.
func (r *ReservedDomains) DetachPolicy(ctx context.Context, by Caller, id string) error {
	_, err := r.Update(ctx, by, id, resource.ReservedDomainUpdate{CertificateManagementPolicy: &resource.CertificatePolicy{}})
	return err
}

// DetachCertificate takes an uploaded certificate away from a domain; what a policy has
// got is CodeCertificateManaged.
func (r *ReservedDomains) DetachCertificate(ctx context.Context, by Caller, id string) error {
	domain, err := r.Get(ctx, by, id)
	if err != nil {
		return err
	}
	if domain.CertificateManagementPolicy != nil {
		return postern.Errorf(postern.CodeCertificateManaged, "%s has a certificate management policy", domain.Domain)
	}
	none := ""
	_, err = r.Update(ctx, by, id, resource.ReservedDomainUpdate{CertificateID: &none})
	return err
}

// wantedDomain reads the name out of a creation and checks all that does not need the
// store.
func (s *Service) wantedDomain(c resource.ReservedDomainCreate) (postern.Hostname, error) {
	if c.Name != "" && c.Domain != "" {
		return "", postern.Errorf(postern.CodeDomainNamedTwice, `the request has both "name" and "domain"`)
	}
	host, err := parseDomain(c.Domain+c.Name, s.domains[len(s.domains)-1])
	if err != nil {
		return "", err
	}
	if challenge := "_acme-challenge." + strings.TrimPrefix(string(host), "*."); host.Wildcard() && len(challenge) > maxDomain {
		return "", postern.Errorf(postern.CodeDomainTooLong, "the domain %.60q… leaves no room for the record of its challenges, which would have %d characters; at most %d are allowed", host, len(challenge), maxDomain)
	}
	if s.ownDomain(host) {
		if _, err := s.domainOf(host); err != nil {
			return "", postern.Errorf(postern.CodeDomainNotAllowed, "%s", postern.AsError(err).Text())
		}
	} else if !slices.Contains(s.domains, host) {
		if err := checkPublic(host, s.domains); err != nil {
			return "", err
		}
	}
	for _, domain := range s.domains {
		if store.Holds(host, domain) {
			return "", postern.Errorf(postern.CodeDomainNotAllowed, "%q would hold the server's own domain, %s", host, domain)
		}
	}
	return host, nil
}

// regions are the server's.
func (s *Service) regions() []string { return s.places }

// region is the server's own.
func (s *Service) region() string { return s.places[0] }

// ownDomain tells whether a name is below one of the server's domains.
func (s *Service) ownDomain(host postern.Hostname) bool {
	for _, domain := range s.domains {
		if host.Under(domain) {
			return true
		}
	}
	return false
}

func (s *Service) buildDomain(d *draft, by Caller, row *store.ReservedDomain, c resource.ReservedDomainCreate) error {
	host, err := s.wantedDomain(c)
	if err != nil {
		return err
	}
	if err := s.checkUnreserved(d, by.Account, host); err != nil {
		return err
	}
	if err := s.onlineForAnother(by.Account, host); err != nil {
		return err
	}
	s.reserved(d, by.Account, host)
	row.Domain, row.Description, row.Metadata = host, c.Description, c.Metadata
	if err := setErrorPages(&row.Pages, &c.ErrorPages, c.Maintenance); err != nil {
		return err
	}
	if row.ResolvesTo, err = s.readResolvesTo(c.ResolvesTo); err != nil {
		return err
	}
	policy, err := readPolicy(c.CertificateManagementPolicy, postern.CodeDomainAuthority, keyECDSA)
	if err != nil {
		return err
	}
	none := store.CertificatePolicy{}
	switch own := s.ownDomain(host); {
	case policy != none && c.CertificateID != "":
		return &postern.Error{Code: postern.CodeCertificateTwofold}
	case own && policy != none:
		return postern.Errorf(postern.CodeOwnDomainPolicy, "%s is below the server's own domain", host)
	case own && c.CertificateID != "":
		return postern.Errorf(postern.CodeOwnDomainCertificate, "%s is below the server's own domain", host)
	case own:
		return nil
	case policy == none && c.CertificateID == "":
		policy = store.CertificatePolicy{Authority: letsEncrypt, KeyType: keyECDSA}
	}
	applyPolicy(&row.Policy, &row.PolicySince, policy, d.now)
	s.giveTargets(row)
	if policy != none {
		if err := s.wantJob(d, store.JobDomain, &row.Meta, row.Domain, policy); err != nil {
			return err
		}
	}
	return s.attachCertificate(d, row, c.CertificateID)
}

// giveTargets chooses where records of another zone are to point. Nobody can foretell
// them: a record that outlives its reservation leads nobody else's endpoint to visitors.
func (s *Service) giveTargets(row *store.ReservedDomain) {
	zone := "dns." + string(s.domains[0])
	owner := hex.EncodeToString(s.accountCode("zone", row.Account)[:5])
	row.CNAMETarget = postern.Hostname(strings.ToLower(rand.Text()) + "." + owner + "." + zone)
	if row.Domain.Wildcard() {
		row.ACMETarget = postern.Hostname(strings.ToLower(rand.Text()) + ".acme." + zone)
	}
}

// accountCode derives a value for an account that says nothing about its id.
func (s *Service) accountCode(purpose string, account postern.AccountID) []byte {
	mac := hmac.New(sha256.New, s.nameKey)
	mac.Write([]byte("account " + purpose + "\x00" + string(account)))
	return mac.Sum(nil)
}

// checkUnreserved refuses a name that is reserved, or that another account holds a part
// of, by reservation or by use.
func (s *Service) checkUnreserved(d *draft, account postern.AccountID, host postern.Hostname) error {
	foreign := store.Compare{Field: "account_id", Op: store.Differs, Value: string(account)}
	same, err := s.firstDomain(d, store.Equal("domain", string(host)))
	switch {
	case err != nil:
		return err
	case same.Account == account:
		return postern.Errorf(postern.CodeDomainYours, "%s is reserved by your account already, as %s", host, same.ID)
	case same.ID != "":
		return postern.Errorf(postern.CodeDomainTaken, "%s is reserved by another account", host)
	}
	above, err := s.firstDomain(d, store.And{store.AtOrAbove(host), foreign})
	if err != nil {
		return err
	}
	if above.ID != "" {
		return postern.Errorf(postern.CodeDomainNotAllowed, "%s is held by another account, and with it %s", above.Domain, host)
	}
	below, err := s.firstDomain(d, store.And{store.AtOrBelow(host), foreign})
	if err != nil {
		return err
	}
	if below.ID != "" {
		return postern.Errorf(postern.CodeWildcardConflict, "%s would cover a domain that another account has reserved", host)
	}
	top := host[strings.LastIndexByte(string(host), '.')+1:]
	switch _, err := d.Names().Related(d.ctx, host, top, account, d.now.Add(-Reservation)); {
	case err == nil:
		return postern.Errorf(postern.CodeDomainInUse, "another account uses %s, or a name above or below it, for its endpoints", host)
	case !postern.HasCode(err, postern.CodeNotFound):
		return err
	}
	return nil
}

// firstDomain returns one reserved domain of any account that is meant, or the zero
// value.
func (s *Service) firstDomain(d *draft, where store.Filter) (store.ReservedDomain, error) {
	found, err := d.ReservedDomains().List(d.ctx, store.Page{Limit: 1, Where: where})
	if err != nil || len(found) == 0 {
		return store.ReservedDomain{}, err
	}
	return found[0], nil
}

func (s *Service) changeDomain(d *draft, _ Caller, row *store.ReservedDomain, u resource.ReservedDomainUpdate) error {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	if err := setErrorPages(&row.Pages, u.ErrorPages, u.Maintenance); err != nil {
		return err
	}
	if u.ResolvesTo != nil {
		var err error
		if row.ResolvesTo, err = s.readResolvesTo(*u.ResolvesTo); err != nil {
			return err
		}
	}
	policy, err := readPolicy(u.CertificateManagementPolicy, postern.CodeDomainAuthority, keyECDSA)
	if err != nil {
		return err
	}
	certificate := ""
	if u.CertificateID != nil {
		certificate = *u.CertificateID // empty: none, so that it goes together with a policy
	}
	none := store.CertificatePolicy{}
	switch own := s.ownDomain(row.Domain); {
	case policy != none && certificate != "":
		return &postern.Error{Code: postern.CodeCertificateTwofold}
	case own && policy != none:
		return postern.Errorf(postern.CodeOwnDomainPolicy, "%s is below the server's own domain", row.Domain)
	case own && certificate != "":
		return postern.Errorf(postern.CodeOwnDomainCertificate, "%s is below the server's own domain", row.Domain)
	}
	before := row.Policy
	if u.CertificateManagementPolicy != nil || certificate != "" {
		applyPolicy(&row.Policy, &row.PolicySince, policy, d.now)
	}
	switch {
	case row.Policy != none:
		if before == none {
			row.Certificate = ""
		} // else it keeps what it has got, until there is a better one
		return s.wantJob(d, store.JobDomain, &row.Meta, row.Domain, row.Policy)
	case before != none:
		row.Certificate = ""
		if err := s.dropJob(d, row.ID); err != nil {
			return err
		}
		return s.attachCertificate(d, row, certificate)
	case u.CertificateID != nil:
		return s.attachCertificate(d, row, certificate)
	}
	return nil
}

func (s *Service) releaseDomain(d *draft, _ Caller, row *store.ReservedDomain) error {
	if err := s.releaseOfCloudEndpoints(d, row); err != nil {
		return err
	}
	if err := releaseOfGateways(d, row); err != nil {
		return err
	}
	s.givenUp(d, row.Domain)
	return s.dropJob(d, row.ID)
}

// readResolvesTo checks points of presence.
func (s *Service) readResolvesTo(wanted []resource.ResolvesTo) ([]string, error) {
	places := make([]string, 0, len(wanted))
	for _, w := range wanted {
		if w.Value != "global" && !slices.Contains(s.regions(), w.Value) {
			return nil, postern.Errorf(postern.CodeValueInvalid, `resolves_to has %.60q; there are "global" and the server's regions: %s`, w.Value, strings.Join(s.regions(), ", "))
		}
		places = append(places, w.Value)
	}
	return places, nil
}

func (s *Service) showDomain(from reader, row *store.ReservedDomain) (resource.ReservedDomain, error) {
	shown := resource.ReservedDomain{
		Identity: s.identity(resource.ReservedDomains().Definition, &row.Meta), Notes: notes(&row.Meta),
		Domain: string(row.Domain), CNAMETarget: orNil(row.CNAMETarget), ACMEChallengeCNAMETarget: orNil(row.ACMETarget),
		ResolvesTo: make([]resource.ResolvesTo, len(row.ResolvesTo)),
	}
	for i, place := range row.ResolvesTo {
		shown.ResolvesTo[i].Value = place
	}
	shown.ErrorPages, shown.Maintenance = showErrorPages(row.Pages)
	var err error
	shown.CertificateManagementPolicy, shown.CertificateManagementStatus, err = s.showManagement(from, row.ID, row.Policy, row.PolicySince)
	shown.Certificate = s.ref(resource.TLSCertificates().Definition, row.Certificate)
	return shown, err
}

// orNil is a text that the API shows as null where it is empty.
func orNil[S ~string](text S) *string {
	if text == "" {
		return nil
	}
	shown := string(text)
	return &shown
}
