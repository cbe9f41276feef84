package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	// gatewayLabel is where the server's gateways are, below its domain.
	gatewayLabel = "gateway."

	defaultHold = 10 * time.Second
	maxHold     = 300

	// mostTokensShown is how many a gateway shows; their own list has all.
	mostTokensShown = 100
)

// PrivateGateways are the use cases of private gateways. What connectors and consumers do
// meanwhile learns of changes by the events on the bus.
type PrivateGateways struct {
	Collection[store.Gateway, resource.PrivateGateway, resource.PrivateGatewayCreate, resource.PrivateGatewayUpdate, *store.Gateway]
}

// PrivateGateways returns the use cases of private gateways.
func (s *Service) PrivateGateways() *PrivateGateways {
	return &PrivateGateways{Collection[store.Gateway, resource.PrivateGateway, resource.PrivateGatewayCreate, resource.PrivateGatewayUpdate, *store.Gateway]{
		service: s, definition: resource.PrivateGateways().Definition, rows: store.Tx.Gateways,
		events: eventTypes{event.GatewayCreated, event.GatewayUpdated, event.GatewayDeleted},
		stored: map[string]string{"name": "name", "path": "path", "domain": "domain", "hold": "hold", "conflict": "conflict", "insecure": "insecure"},
		build:  s.buildGateway, change: s.changeGateway, release: s.releaseGateway, show: s.showGateway,
	}}
}

// Create makes a gateway, and a token that may offer all that it allows. The token is in
// the answer, and nowhere else.
func (k *PrivateGateways) Create(ctx context.Context, by Caller, c resource.PrivateGatewayCreate) (resource.PrivateGateway, error) {
	var token postern.Secret
	with := k.Collection
	with.made = func(d *draft, by Caller, row *store.Gateway) error {
		first := store.GatewayToken{
			Meta:    store.Meta{ID: newID(gatewayTokenPrefix, d.now), Account: row.Account, CreatedAt: d.now, UpdatedAt: d.now},
			Gateway: row.ID,
		}
		token, first.Verifier = newGatewayToken(first.ID)
		if err := d.GatewayTokens().Create(d.ctx, first); err != nil {
			return err
		}
		return d.recordBy(by, event.GatewayTokenCreated, row.Account, first.ID, k.service.showGatewayToken(&first))
	}
	made, err := with.Create(ctx, by, c)
	if err == nil {
		made.Token = shownOnce(token)
	}
	return made, err
}

func (s *Service) buildGateway(d *draft, _ Caller, row *store.Gateway, c resource.PrivateGatewayCreate) error {
	row.Description, row.Metadata, row.Path = c.Description, c.Metadata, "sg_"+newUUID()
	row.Insecure, row.Hold, row.Conflict = c.Insecure, defaultHold, store.GatewayRefuse
	if err := s.setGatewayName(d, row, c.Name); err != nil {
		return err
	}
	if c.Domain != "" {
		if err := s.setGatewayDomain(d, row, c.Domain); err != nil {
			return err
		}
	}
	if c.Conflict != "" {
		row.Conflict = c.Conflict
	}
	if err := checkConflict(row.Conflict); err != nil {
		return err
	}
	if c.Hold != nil {
		if err := setHold(row, *c.Hold); err != nil {
			return err
		}
	}
	var err error
	if row.Consumers, err = readNetworks("consumers", c.Consumers); err != nil {
		return err
	}
	if row.Ports, err = readPorts(c.Ports); err != nil {
		return err
	}
	return s.placeGateway(d, row, c.Listen)
}

// standIn is the endpoint that keeps others from a gateway's domain.
func standIn(row *store.Gateway) *store.CloudEndpoint {
	endpoint := &store.CloudEndpoint{Meta: row.Meta, Scheme: postern.HTTPS, Host: row.Domain}
	if row.Domain != "" {
		endpoint.Binding = bindingPublic
	}
	return endpoint
}

func (s *Service) changeGateway(d *draft, _ Caller, row *store.Gateway, u resource.PrivateGatewayUpdate) (err error) {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	set(&row.Insecure, u.Insecure)
	set(&row.Conflict, u.Conflict)
	if err := checkConflict(row.Conflict); err != nil {
		return err
	}
	if u.Name != nil {
		if err := s.setGatewayName(d, row, *u.Name); err != nil {
			return err
		}
	}
	switch {
	case u.Domain == nil:
	case *u.Domain == "":
		row.Domain = ""
		s.clouds.hold(d, standIn(row))
	default:
		if err := s.setGatewayDomain(d, row, *u.Domain); err != nil {
			return err
		}
	}
	if u.Hold != nil {
		if err := setHold(row, *u.Hold); err != nil {
			return err
		}
	}
	if u.Consumers != nil {
		if row.Consumers, err = readNetworks("consumers", *u.Consumers); err != nil {
			return err
		}
	}
	if u.Ports != nil {
		if row.Ports, err = readPorts(*u.Ports); err != nil {
			return err
		}
	}
	if u.Listen == nil && u.Ports == nil {
		return nil // what a reload no longer permits does not keep anything else from being changed
	}
	listen := addressTexts(row.Listen)
	set(&listen, u.Listen)
	return s.placeGateway(d, row, listen)
}

// newUUID makes a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails, crypto/rand
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// setGatewayName reads a name, which is one label, so that it fits into ACL rules and
// hosts files alike.
func (s *Service) setGatewayName(d *draft, row *store.Gateway, text string) error {
	ascii, err := idn.ToASCII(text)
	if err != nil {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"name\" is %q: %s", clip(text), postern.AsError(err).Text())
	}
	name, err := postern.ParseHostname(ascii)
	if err != nil || name.Parent() != "" || name.Wildcard() || slices.Contains([]byte(name), '_') {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"name\" is %q; it must be one label of letters, digits and hyphens, such as production", clip(text))
	}
	same, err := d.Gateways().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
		store.Equal("name", string(name)), store.Compare{Field: "id", Op: store.Differs, Value: row.ID}}})
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return postern.Errorf(postern.CodeGatewayNameTaken, "%s has the name %q already", same[0].ID, name)
	}
	row.Name = name
	return nil
}

func checkConflict(conflict string) error {
	if conflict != store.GatewayRefuse && conflict != store.GatewayPool {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"conflict\" is %q; there are %s and %s", clip(conflict), store.GatewayRefuse, store.GatewayPool)
	}
	return nil
}

func setHold(row *store.Gateway, seconds int64) error {
	if seconds < 0 || seconds > maxHold {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"hold\" is %d; it must be 0 to %d seconds", seconds, maxHold)
	}
	row.Hold = time.Duration(seconds) * time.Second
	return nil
}

// setGatewayDomain reads a domain, which the account must have by a reservation and use
// for nothing else.
func (s *Service) setGatewayDomain(d *draft, row *store.Gateway, text string) error {
	host, err := parseDomain(text, s.domains[len(s.domains)-1])
	if err != nil {
		return postern.Errorf(postern.CodeGatewayDomainInvalid, "%s", postern.AsError(err).Text())
	}
	if host == row.Domain {
		return nil
	}
	if host.Wildcard() {
		return postern.Errorf(postern.CodeGatewayDomainInvalid, "the field \"domain\" is %s; a gateway has one name, without a wildcard", host)
	}
	holding, err := holdingDomain(reader{d.Tx, d.ctx}, row.Account, host)
	if err != nil {
		return err
	}
	if holding.ID == "" {
		return postern.Errorf(postern.CodeGatewayDomainInvalid, "the account has reserved neither %s nor a domain above it", host)
	}
	row.Domain = host
	s.clouds.hold(d, standIn(row)) // before it is looked for others, see clouds
	user, err := s.userOfDomain(d, row, host)
	if err == nil && user != "" {
		err = postern.Errorf(postern.CodeGatewayDomainInUse, "%s has %s", user, host)
	}
	return err
}

// userOfDomain names what else a domain leads to; "" for nothing.
func (s *Service) userOfDomain(d *draft, row *store.Gateway, host postern.Hostname) (string, error) {
	gateways, err := d.Gateways().List(d.ctx, store.Page{Limit: 1, Where: store.And{
		store.Equal("domain", string(host)), store.Compare{Field: "id", Op: store.Differs, Value: row.ID}}})
	if err != nil {
		return "", err
	}
	if len(gateways) > 0 && gateways[0].Account == row.Account {
		return "the private gateway " + gateways[0].ID, nil
	} else if len(gateways) > 0 {
		return "a private gateway of another account", nil
	}
	ingresses, err := d.AgentIngresses().List(d.ctx, store.Page{Limit: 1, Where: store.AtOrAbove(host)})
	if err != nil {
		return "", err
	}
	if len(ingresses) > 0 {
		return "an agent ingress", nil
	}
	clouds, err := d.CloudEndpoints().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
		store.Equal("host", string(host)), store.Equal("binding", bindingPublic), store.Compare{Field: "scheme", Op: store.Differs, Value: string(postern.TCP)}}})
	if err != nil {
		return "", err
	}
	if len(clouds) > 0 {
		return "the cloud endpoint " + clouds[0].ID, nil
	}
	if len(s.holders(postern.URL{Scheme: postern.HTTPS, Host: host})) > 0 {
		return "an agent's endpoint", nil
	}
	return "", nil
}

// releaseOfGateways refuses to give up a domain by which the account has the domain of a
// gateway.
func releaseOfGateways(d *draft, row *store.ReservedDomain) error {
	ofAccount := store.And{store.Equal("account_id", string(row.Account)), store.Compare{Field: "domain", Op: store.Differs, Value: nil}}
	return eachRow(d.ctx, d.Gateways(), ofAccount, func(gateway *store.Gateway) error {
		if !includes(row.Domain, gateway.Domain) {
			return nil
		}
		holding, err := holdingDomain(reader{d.Tx, d.ctx}, row.Account, gateway.Domain)
		if err == nil && holding.ID == row.ID {
			err = postern.Errorf(postern.CodeDomainReferenced, "the private gateway %s is at %s, which the account has by %s", gateway.ID, gateway.Domain, row.Domain)
		}
		return err
	})
}

// releaseGateway deletes a gateway's tokens, and lets others have its domain.
func (s *Service) releaseGateway(d *draft, by Caller, row *store.Gateway) error {
	d.committed = append(d.committed, func() { s.clouds.forget(row.ID) })
	return eachRow(d.ctx, d.GatewayTokens(), store.Equal("gateway_id", row.ID), func(token *store.GatewayToken) error {
		if err := d.GatewayTokens().Delete(d.ctx, row.Account, token.ID); err != nil {
			return err
		}
		return d.recordBy(by, event.GatewayTokenDeleted, row.Account, token.ID, s.showGatewayToken(token))
	})
}

func (s *Service) showGateway(r reader, row *store.Gateway) (resource.PrivateGateway, error) {
	host := row.Domain
	if host == "" {
		host = gatewayLabel + s.domains[0]
	}
	shown := resource.PrivateGateway{
		Identity: s.identity(resource.PrivateGateways().Definition, &row.Meta), Notes: notes(&row.Meta),
		Name: string(row.Name), Path: row.Path, Domain: orNil(row.Domain),
		Address: s.publicURL(postern.URL{Scheme: postern.HTTPS, Host: host}) + "/" + row.Path,
		Listen:  addressTexts(row.Listen), Ports: append([]string{}, row.Ports...),
		Hold: int64(row.Hold / time.Second), Conflict: row.Conflict, Insecure: row.Insecure,
		Consumers: make([]string, 0, len(row.Consumers)), Fingerprint: s.gateways.fingerprint(),
		Tokens: []resource.Ref{}, Connectors: []resource.GatewayConnector{}, Endpoints: []resource.GatewayEndpoint{},
	}
	for _, network := range row.Consumers {
		shown.Consumers = append(shown.Consumers, network.String())
	}
	tokens, err := r.GatewayTokens().List(r.ctx, store.Page{Account: row.Account, Limit: mostTokensShown, Where: store.Equal("gateway_id", row.ID)})
	for _, token := range tokens {
		shown.Tokens = append(shown.Tokens, *s.ref(resource.PrivateGatewayTokens().Definition, token.ID))
	}
	return shown, err
}
