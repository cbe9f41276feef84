package service

import (
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/store"
)

// The bindings: who may reach an endpoint.
const (
	bindingPublic     = "public"
	bindingInternal   = "internal"
	bindingKubernetes = "kubernetes"
)

const cloudType = "cloud"

func (s *Service) buildCloudEndpoint(d *draft, by Caller, row *store.CloudEndpoint, c resource.EndpointCreate) error {
	if c.Type != cloudType {
		return postern.Errorf(postern.CodeEndpointTypeInvalid, "the type is %q; only %q can be made here", clip(c.Type), cloudType)
	}
	row.Description, row.Metadata, row.CreatedBy = c.Description, c.Metadata, by.Principal
	row.Pooling = c.PoolingEnabled
	if err := s.setURL(row, c.URL, c.Bindings); err != nil {
		return err
	}
	if err := s.setTrafficPolicy(d, row, c.TrafficPolicy); err != nil {
		return err
	}
	if err := setEndpointPages(row, &c.ErrorPages, c.Maintenance); err != nil {
		return err
	}
	return s.placeCloudEndpoint(d, row)
}

func (s *Service) changeCloudEndpoint(d *draft, _ Caller, row *store.CloudEndpoint, u resource.EndpointUpdate) error {
	before := *row
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	set(&row.Pooling, u.PoolingEnabled)
	if u.URL != nil || u.Bindings != nil {
		address, bindings := row.URL().String(), []string{row.Binding}
		set(&address, u.URL)
		if u.URL != nil {
			bindings = nil
		}
		set(&bindings, u.Bindings)
		if err := s.setURL(row, address, bindings); err != nil {
			return err
		}
	}
	if err := setEndpointPages(row, u.ErrorPages, u.Maintenance); err != nil {
		return err
	}
	if row.Scheme != before.Scheme {
		return postern.Errorf(postern.CodeCloudSchemeFixed, "the scheme is %s, and cannot become %s", before.Scheme, row.Scheme)
	}
	if u.TrafficPolicy != nil {
		if err := s.setTrafficPolicy(d, row, *u.TrafficPolicy); err != nil {
			return err
		}
	}
	if row.URL() == before.URL() && row.Binding == before.Binding && row.Pooling == before.Pooling {
		return nil
	}
	return s.placeCloudEndpoint(d, row)
}

// setURL reads the URL and the binding of an endpoint.
func (s *Service) setURL(row *store.CloudEndpoint, text string, bindings []string) error {
	scheme, _, found := strings.Cut(text, "://")
	if _, err := postern.ParseScheme(scheme); !found || err != nil {
		return postern.Errorf(postern.CodeCloudSchemeInvalid, "the URL %q has no scheme that is known", clip(text))
	}
	asked, err := postern.ParseURLRequest(text, "")
	switch {
	case err == nil && asked.Scheme == postern.UDP:
		return postern.Errorf(postern.CodeCloudSchemeInvalid, "the URL %q is of udp, which endpoints of agents can have and cloud endpoints cannot", clip(text))
	case err != nil && strings.Contains(postern.AsError(err).Text(), `: port "`):
		return postern.Errorf(postern.CodeCloudPortInvalid, "%s", postern.AsError(err).Text())
	case err != nil:
		return postern.Errorf(postern.CodeCloudURLInvalid, "%s", postern.AsError(err).Text())
	case asked.Host == "":
		return postern.Errorf(postern.CodeCloudURLInvalid, "the URL %q has no name for a host", clip(text))
	case asked.Scheme == postern.TCP && asked.Port == 0:
		return postern.Errorf(postern.CodeCloudPortInvalid, "the URL %q has no port, and tcp has none by itself", clip(text))
	}
	if row.Binding, err = readBinding(asked.Host, bindings, s.internalName(asked.Host)); err != nil {
		return err
	}
	row.Scheme, row.Host, row.Port = asked.Scheme, asked.Host, asked.Port
	if row.Port == row.Scheme.DefaultPort() {
		row.Port = 0
	}
	switch row.Binding {
	case bindingInternal:
		return row.Host.CheckInternal()
	case bindingKubernetes:
		return checkKubernetes(row)
	}
	return s.checkPublicPort(row)
}

// internalName tells whether a name is below .internal, and not below a domain of the
// server's own.
func (s *Service) internalName(host postern.Hostname) bool {
	return host.Internal() && !slices.ContainsFunc(s.domains, func(own postern.Hostname) bool { return host == own || host.Under(own) })
}

// readBinding gives the one that was asked for; internal tells what follows from the name.
func readBinding(host postern.Hostname, given []string, internal bool) (string, error) {
	switch {
	case len(given) > 1:
		return "", postern.Errorf(postern.CodeCloudFieldInvalid, "the field \"bindings\" has %d bindings; one is allowed", len(given))
	case len(given) == 0 && internal:
		return bindingInternal, nil
	case len(given) == 0:
		return bindingPublic, nil
	case !slices.Contains([]string{bindingPublic, bindingInternal, bindingKubernetes}, given[0]):
		return "", postern.Errorf(postern.CodeCloudFieldInvalid, "the field \"bindings\" has %q; there are public, internal and kubernetes", clip(given[0]))
	case given[0] == bindingInternal && !host.Internal():
		return "", postern.Errorf(postern.CodeInternalNameInvalid, "%s does not end in .internal", host)
	case given[0] != bindingInternal && internal:
		return "", postern.Errorf(postern.CodeCloudFieldInvalid, "the field \"bindings\" has %q; the binding of %s is internal", given[0], host)
	}
	return given[0], nil
}

func checkKubernetes(row *store.CloudEndpoint) error {
	if row.Scheme == postern.HTTPS {
		return postern.Errorf(postern.CodeKubernetesSchemeInvalid, "the scheme is %s; endpoints for Kubernetes have http, tls or tcp", row.Scheme)
	}
	if strings.Count(string(row.Host), ".") != 1 || row.Host.Wildcard() {
		return postern.Errorf(postern.CodeCloudURLInvalid, "%s is not a service and its namespace, such as web.default", row.Host)
	}
	return nil
}

// checkPublicPort refuses a port that visitors do not use, and forgets the one that they
// do.
func (s *Service) checkPublicPort(row *store.CloudEndpoint) error {
	if row.Scheme == postern.TCP || row.Port == 0 {
		return nil
	}
	if public := s.publicPort(row.Scheme); row.Port != public {
		return postern.Errorf(postern.CodeCloudPortNotPublic, "the port is %d; %s endpoints are at port %d", row.Port, row.Scheme, public)
	}
	row.Port = 0
	return nil
}

// setTrafficPolicy refuses a policy that could not be held to.
func (s *Service) setTrafficPolicy(d *draft, row *store.CloudEndpoint, text string) error {
	if err := checkText("traffic_policy", text, maxPolicy); err != nil {
		return err
	}
	if strings.TrimSpace(text) == "" {
		return postern.Errorf(postern.CodePolicyNotTerminating, "the traffic policy is empty, so nothing would be answered")
	}
	target := policy.Target{Scheme: row.Scheme, Internal: row.Binding == bindingInternal, Last: true}
	program, err := s.policies.Try(text, target)
	if err != nil {
		if coded := policy.Coded(err); coded.Code == postern.CodePolicyNotTerminating {
			return coded
		}
		return postern.Errorf(postern.CodeCloudPolicyInvalid, "the traffic policy cannot be used: %v", err)
	}
	if err := d.named(row.Account, program); err != nil {
		return err
	}
	row.TrafficPolicy = text
	return nil
}

// named refuses a policy that names certificate authorities which the account does not have.
func (d *draft) named(account postern.AccountID, program *policy.Program) (err error) {
	lacks := program.Lacks(func(id string) bool {
		_, failed := d.CertificateAuthorities().Get(d.ctx, account, id)
		if failed != nil && !postern.HasCode(failed, postern.CodeNotFound) {
			err = failed
		}
		return failed == nil
	})
	if err == nil && len(lacks) > 0 {
		return postern.Errorf(postern.CodeCloudPolicyInvalid, "the traffic policy cannot be used: %v", lacks)
	}
	return err
}

const maxPolicy = 128 << 10

// placeCloudEndpoint sees that the account has the URL and that nobody else is there.
func (s *Service) placeCloudEndpoint(d *draft, row *store.CloudEndpoint) error {
	if err := s.checkHolding(d, row); err != nil {
		return err
	}
	s.clouds.hold(d, row)
	rows, err := d.CloudEndpoints().List(d.ctx, store.Page{Account: row.Account, Where: store.And{
		store.Equal("host", string(row.Host)), store.Equal("binding", row.Binding)}, Limit: mostInPool})
	if err != nil {
		return err
	}
	var others []neighbour
	for _, other := range rows {
		if other.ID != row.ID && sameAddress(other.URL(), row.URL()) {
			others = append(others, neighbour{other.URL(), other.Pooling, "the cloud endpoint " + other.ID})
		}
	}
	if row.Binding == bindingPublic {
		gateways, err := d.Gateways().List(d.ctx, store.Page{Limit: 1, Where: store.Equal("domain", string(row.Host))})
		if err != nil {
			return err
		}
		for _, gateway := range gateways {
			if at := standIn(&gateway).URL(); sameAddress(at, row.URL()) {
				others = append(others, neighbour{at, false, "the private gateway " + gateway.ID})
			}
		}
	}
	if row.Binding != bindingKubernetes {
		for _, e := range s.holders(row.URL()) {
			others = append(others, neighbour{e.URL, e.Pooling && e.Account == row.Account, "an agent's endpoint"})
		}
	}
	return joins(row, others)
}

// mostInPool bounds the cloud endpoints that are looked at for one host.
const mostInPool = 1000

// neighbour is another endpoint at the address of one.
type neighbour struct {
	url     postern.URL
	pooling bool
	what    string
}

func joins(row *store.CloudEndpoint, others []neighbour) error {
	if len(others) == 0 {
		return nil
	}
	closed := slices.IndexFunc(others, func(n neighbour) bool { return !n.pooling || n.url != row.URL() })
	switch {
	case closed >= 0 && (!row.Pooling || others[closed].url != row.URL()):
		return postern.Errorf(postern.CodeCloudEndpointExists, "%s has %s already", others[closed].what, row.URL())
	case closed >= 0:
		return postern.Errorf(postern.CodeCloudPoolClosed, "%s has %s and does not allow pooling", others[closed].what, row.URL())
	case !row.Pooling:
		return postern.Errorf(postern.CodeCloudPoolRefused, "%s has %s and allows pooling; this one does not", others[0].what, row.URL())
	}
	return nil
}

// checkHolding refuses a public URL that the account has not reserved.
func (s *Service) checkHolding(d *draft, row *store.CloudEndpoint) error {
	if row.Binding != bindingPublic {
		return nil
	}
	r := reader{d.Tx, d.ctx}
	if row.Scheme == postern.TCP {
		address, err := reservedAddress(r, row.Account, row.URL())
		if err == nil && address == "" {
			err = postern.Errorf(postern.CodeCloudNameNotReserved, "the account has not reserved the TCP address %s:%d", row.Host, row.Port)
		}
		return err
	}
	domain, err := holdingDomain(r, row.Account, row.Host)
	if err == nil && domain.ID == "" {
		err = postern.Errorf(postern.CodeCloudNameNotReserved, "the account has reserved neither %s nor a domain above it", row.Host)
	}
	return err
}

// releaseOfCloudEndpoints refuses to give up a domain by which the account has the name
// of a cloud endpoint.
func (s *Service) releaseOfCloudEndpoints(d *draft, row *store.ReservedDomain) error {
	rows, err := d.CloudEndpoints().List(d.ctx, store.Page{Account: row.Account, Limit: mostInPool,
		Where: store.And{store.AtOrBelow(row.Domain), store.Equal("binding", bindingPublic)}})
	if err != nil {
		return err
	}
	for _, e := range rows {
		holding, err := holdingDomain(reader{d.Tx, d.ctx}, row.Account, e.Host)
		if err != nil {
			return err
		}
		if holding.ID == row.ID {
			return postern.Errorf(postern.CodeDomainReferenced, "the cloud endpoint %s is at %s, which the account has by %s", e.ID, e.URL(), row.Domain)
		}
	}
	return nil
}

// releaseAddress refuses to give up the address of a cloud endpoint.
func releaseAddress(d *draft, _ Caller, row *store.ReservedAddr) error {
	found, err := d.CloudEndpoints().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
		store.Equal("scheme", string(postern.TCP)), store.Equal("host", string(row.Host)),
		store.Equal("port", int64(row.Port)), store.Equal("binding", bindingPublic)}})
	if err != nil || len(found) == 0 {
		return err
	}
	return postern.Errorf(postern.CodeConflict, "the cloud endpoint %s is at %s; delete it first", found[0].ID, found[0].URL())
}
