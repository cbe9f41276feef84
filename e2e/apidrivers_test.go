package e2e_test

import (
	"context"
	"fmt"
	"testing"

	ngrokapi "github.com/ngrok/ngrok-api-go/v9"
	"github.com/ngrok/ngrok-api-go/v9/agent_ingresses"
	"github.com/ngrok/ngrok-api-go/v9/api_keys"
	"github.com/ngrok/ngrok-api-go/v9/application_sessions"
	"github.com/ngrok/ngrok-api-go/v9/application_users"
	"github.com/ngrok/ngrok-api-go/v9/bot_users"
	"github.com/ngrok/ngrok-api-go/v9/certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v9/credentials"
	"github.com/ngrok/ngrok-api-go/v9/event_destinations"
	"github.com/ngrok/ngrok-api-go/v9/event_sources"
	"github.com/ngrok/ngrok-api-go/v9/event_subscriptions"
	"github.com/ngrok/ngrok-api-go/v9/ip_policies"
	"github.com/ngrok/ngrok-api-go/v9/ip_policy_rules"
	"github.com/ngrok/ngrok-api-go/v9/ip_restrictions"
	"github.com/ngrok/ngrok-api-go/v9/reserved_addrs"
	"github.com/ngrok/ngrok-api-go/v9/reserved_domains"
	"github.com/ngrok/ngrok-api-go/v9/secrets"
	"github.com/ngrok/ngrok-api-go/v9/service_users"
	"github.com/ngrok/ngrok-api-go/v9/ssh_certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v9/tls_certificates"
	"github.com/ngrok/ngrok-api-go/v9/tunnel_sessions"
	"github.com/ngrok/ngrok-api-go/v9/tunnels"
	"github.com/ngrok/ngrok-api-go/v9/vaults"
)

// apiDriver makes ngrok's clients.
type apiDriver struct{ *ngrokapi.ClientConfig }

func (a apiDriver) vaults() *vaults.Client   { return vaults.NewClient(a.ClientConfig) }
func (a apiDriver) secrets() *secrets.Client { return secrets.NewClient(a.ClientConfig) }
func (a apiDriver) certificates() *tls_certificates.Client {
	return tls_certificates.NewClient(a.ClientConfig)
}
func (a apiDriver) authorities() *certificate_authorities.Client {
	return certificate_authorities.NewClient(a.ClientConfig)
}
func (a apiDriver) sshAuthorities() *ssh_certificate_authorities.Client {
	return ssh_certificate_authorities.NewClient(a.ClientConfig)
}
func (a apiDriver) policies() *ip_policies.Client { return ip_policies.NewClient(a.ClientConfig) }

// drivers are what takes each kind of resource through all that the client can do.
func (a apiDriver) drivers() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"api_keys": a.driveAPIKeys, "credentials": a.driveCredentials, "bot_users": a.driveBotUsers, "service_users": a.driveServiceUsers,
		"ip_policies": a.drivePolicies, "ip_policy_rules": a.driveRules, "ip_restrictions": a.driveRestrictions,
		"vaults": a.driveVaults, "vault_secrets": a.driveSecrets,
		"tls_certificates": a.driveCertificates, "certificate_authorities": a.driveAuthorities,
		"ssh_certificate_authorities": a.driveSSHAuthorities, "ssh_host_certificates": a.driveHosts, "ssh_user_certificates": a.driveUsers,
		"reserved_domains": a.driveDomains, "reserved_addrs": a.driveAddresses, "agent_ingresses": a.driveIngresses,
		"event_destinations": a.driveDestinations, "event_subscriptions": a.driveSubscriptions,
		"kubernetes_operators": a.driveOperators,
		"ssh_credentials":      a.driveSSHCredentials, "app/users": a.readVisitors, "app/sessions": a.readVisits, "tunnel_sessions": a.readSessions, "tunnels": a.readTunnels, "endpoints": a.driveEndpoints,
	}
}

func (a apiDriver) driveAPIKeys(t *testing.T) {
	c := api_keys.NewClient(a.ClientConfig)
	driven[ngrokapi.APIKey]{
		create: func(ctx context.Context, n int) (*ngrokapi.APIKey, error) {
			made, err := c.Create(ctx, &ngrokapi.APIKeyCreate{Description: fmt.Sprint("key ", n)})
			if err == nil && (made.Token == nil || *made.Token == "") {
				err = fmt.Errorf("no token: %+v", made)
			}
			return made, err
		},
		get: c.Get, remove: c.Delete, shared: true,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.APIKey] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.APIKey, error) {
			return c.Update(ctx, &ngrokapi.APIKeyUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveCredentials(t *testing.T) {
	c := credentials.NewClient(a.ClientConfig)
	driven[ngrokapi.Credential]{
		create: func(ctx context.Context, n int) (*ngrokapi.Credential, error) {
			made, err := c.Create(ctx, &ngrokapi.CredentialCreate{Description: fmt.Sprint("agent ", n), ACL: []string{"bind:*.example.com"}})
			if err == nil && (made.Token == nil || *made.Token == "" || len(made.ACL) != 1) {
				err = fmt.Errorf("no token, or other rules: %+v", made)
			}
			return made, err
		},
		get: c.Get, remove: c.Delete, shared: true,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.Credential] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.Credential, error) {
			return c.Update(ctx, &ngrokapi.CredentialUpdate{ID: id, Description: &text, ACL: []string{}})
		},
	}.drive(t)
}

func (a apiDriver) driveBotUsers(t *testing.T) {
	c := bot_users.NewClient(a.ClientConfig)
	driven[ngrokapi.BotUser]{
		create: func(ctx context.Context, n int) (*ngrokapi.BotUser, error) {
			return c.Create(ctx, &ngrokapi.BotUserCreate{Name: fmt.Sprint("bot ", n)})
		},
		get: c.Get, remove: c.Delete, marked: "name", unfiltered: true,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.BotUser] { return c.List(&ngrokapi.Paging{Limit: limit}) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.BotUser, error) {
			return c.Update(ctx, &ngrokapi.BotUserUpdate{ID: id, Name: &text, Active: ngrokapi.Bool(false)})
		},
	}.drive(t)
}

func (a apiDriver) driveServiceUsers(t *testing.T) {
	c := service_users.NewClient(a.ClientConfig)
	driven[ngrokapi.ServiceUser]{
		create: func(ctx context.Context, n int) (*ngrokapi.ServiceUser, error) {
			return c.Create(ctx, &ngrokapi.ServiceUserCreate{Name: fmt.Sprint("service ", n)})
		},
		get: c.Get, remove: c.Delete, marked: "name",
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.ServiceUser] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.ServiceUser, error) {
			return c.Update(ctx, &ngrokapi.ServiceUserUpdate{ID: id, Name: &text})
		},
	}.drive(t)
}

func (a apiDriver) drivePolicies(t *testing.T) {
	c := a.policies()
	driven[ngrokapi.IPPolicy]{
		create: func(ctx context.Context, n int) (*ngrokapi.IPPolicy, error) {
			return c.Create(ctx, &ngrokapi.IPPolicyCreate{Description: fmt.Sprint("policy ", n), Metadata: "{}"})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.IPPolicy] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.IPPolicy, error) {
			return c.Update(ctx, &ngrokapi.IPPolicyUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

// policy makes an IP policy for what refers to one.
func (a apiDriver) policy(t *testing.T) string {
	t.Helper()
	made, err := a.policies().Create(t.Context(), &ngrokapi.IPPolicyCreate{Description: "referred to"})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (a apiDriver) driveRules(t *testing.T) {
	c, policy := ip_policy_rules.NewClient(a.ClientConfig), a.policy(t)
	driven[ngrokapi.IPPolicyRule]{
		create: func(ctx context.Context, n int) (*ngrokapi.IPPolicyRule, error) {
			return c.Create(ctx, &ngrokapi.IPPolicyRuleCreate{CIDR: fmt.Sprintf("192.0.2.%d/32", n), IPPolicyID: policy, Action: ngrokapi.String("allow")})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.IPPolicyRule] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.IPPolicyRule, error) {
			return c.Update(ctx, &ngrokapi.IPPolicyRuleUpdate{ID: id, Description: &text, CIDR: ngrokapi.String("2001:db8::/32")})
		},
	}.drive(t)
}

func (a apiDriver) driveRestrictions(t *testing.T) {
	c, policy := ip_restrictions.NewClient(a.ClientConfig), a.policy(t)
	driven[ngrokapi.IPRestriction]{
		create: func(ctx context.Context, n int) (*ngrokapi.IPRestriction, error) {
			kinds := []string{"dashboard", "agent", "endpoints"}
			return c.Create(ctx, &ngrokapi.IPRestrictionCreate{Type: kinds[n], IPPolicyIDs: []string{policy}})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.IPRestriction] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.IPRestriction, error) {
			return c.Update(ctx, &ngrokapi.IPRestrictionUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveDomains(t *testing.T) {
	c := reserved_domains.NewClient(a.ClientConfig)
	driven[ngrokapi.ReservedDomain]{
		create: func(ctx context.Context, n int) (*ngrokapi.ReservedDomain, error) {
			return c.Create(ctx, &ngrokapi.ReservedDomainCreate{Domain: fmt.Sprintf("shop%d.%s", n, domain)})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.ReservedDomain] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.ReservedDomain, error) {
			return c.Update(ctx, &ngrokapi.ReservedDomainUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveAddresses(t *testing.T) {
	c := reserved_addrs.NewClient(a.ClientConfig)
	driven[ngrokapi.ReservedAddr]{
		create: func(ctx context.Context, n int) (*ngrokapi.ReservedAddr, error) {
			made, err := c.Create(ctx, &ngrokapi.ReservedAddrCreate{Description: fmt.Sprint("database ", n)})
			if err == nil && made.Addr == "" {
				err = fmt.Errorf("no address: %+v", made)
			}
			return made, err
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.ReservedAddr] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.ReservedAddr, error) {
			return c.Update(ctx, &ngrokapi.ReservedAddrUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveIngresses(t *testing.T) {
	c := agent_ingresses.NewClient(a.ClientConfig)
	driven[ngrokapi.AgentIngress]{
		create: func(ctx context.Context, n int) (*ngrokapi.AgentIngress, error) {
			return c.Create(ctx, &ngrokapi.AgentIngressCreate{Domain: fmt.Sprintf("connect%d.example.com", n)})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.AgentIngress] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.AgentIngress, error) {
			return c.Update(ctx, &ngrokapi.AgentIngressUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

// datadog is a target that gets nothing while nobody subscribes it to anything.
func datadog() ngrokapi.EventTarget {
	return ngrokapi.EventTarget{Datadog: &ngrokapi.EventTargetDatadog{ApiKey: ngrokapi.String("0123456789abcdef0123456789abcdef"), Service: ngrokapi.String("postern")}}
}

func (a apiDriver) driveDestinations(t *testing.T) {
	c := event_destinations.NewClient(a.ClientConfig)
	driven[ngrokapi.EventDestination]{
		create: func(ctx context.Context, n int) (*ngrokapi.EventDestination, error) {
			return c.Create(ctx, &ngrokapi.EventDestinationCreate{Description: fmt.Sprint("log ", n), Format: "json", Target: datadog()})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.EventDestination] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.EventDestination, error) {
			return c.Update(ctx, &ngrokapi.EventDestinationUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveSubscriptions(t *testing.T) {
	destination, err := event_destinations.NewClient(a.ClientConfig).Create(t.Context(), &ngrokapi.EventDestinationCreate{Format: "json", Target: datadog()})
	if err != nil {
		t.Fatal(err)
	}
	c := event_subscriptions.NewClient(a.ClientConfig)
	driven[ngrokapi.EventSubscription]{
		create: func(ctx context.Context, n int) (*ngrokapi.EventSubscription, error) {
			return c.Create(ctx, &ngrokapi.EventSubscriptionCreate{Description: fmt.Sprint("audit ", n), DestinationIDs: []string{destination.ID},
				Sources: []ngrokapi.EventSourceReplace{{Type: "vault_created.v0"}}})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.EventSubscription] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.EventSubscription, error) {
			return c.Update(ctx, &ngrokapi.EventSubscriptionUpdate{ID: id, Description: &text})
		},
	}.drive(t)
	made, err := c.Create(t.Context(), &ngrokapi.EventSubscriptionCreate{DestinationIDs: []string{destination.ID}, Sources: []ngrokapi.EventSourceReplace{{Type: "vault_created.v0"}}})
	if err != nil {
		t.Fatal(err)
	}
	a.driveSources(t, made.ID)
}

// driveSources adds a source to a subscription that has one, and takes it away.
func (a apiDriver) driveSources(t *testing.T, subscription string) {
	c, item := event_sources.NewClient(a.ClientConfig), &ngrokapi.EventSourceItem{SubscriptionID: subscription, Type: "vault_updated.v0"}
	if made, err := c.Create(t.Context(), &ngrokapi.EventSourceCreate{SubscriptionID: subscription, Type: item.Type}); err != nil || made.Type != item.Type {
		t.Fatalf("create: %+v, %v", made, err)
	}
	again := *item // the client empties what it is given
	if got, err := c.Get(t.Context(), &again); err != nil || got.Type != item.Type {
		t.Errorf("get: %+v, %v", got, err)
	}
	if list, err := c.List(t.Context(), subscription); err != nil || len(list.Sources) != 2 {
		t.Errorf("list: %+v, %v", list, err)
	}
	again = *item
	if err := c.Delete(t.Context(), &again); err != nil {
		t.Errorf("delete: %v", err)
	}
	again = *item
	_, err := c.Get(t.Context(), &again)
	notFound(t, err)
}

func (a apiDriver) readSessions(t *testing.T) {
	c := tunnel_sessions.NewClient(a.ClientConfig)
	read(t, c.Get, c.List(paging(nil, nil)), 1)
}

func (a apiDriver) readTunnels(t *testing.T) {
	c := tunnels.NewClient(a.ClientConfig)
	read(t, c.Get, c.List(&ngrokapi.Paging{}), 2) // https and http
}

// Nobody has logged in at an endpoint.
func (a apiDriver) readVisitors(t *testing.T) {
	c := application_users.NewClient(a.ClientConfig)
	read(t, c.Get, c.List(&ngrokapi.Paging{}), 0)
	_, err := c.Get(t.Context(), "nobody")
	notFound(t, err)
}

func (a apiDriver) readVisits(t *testing.T) {
	c := application_sessions.NewClient(a.ClientConfig)
	read(t, c.Get, c.List(&ngrokapi.Paging{}), 0)
	notFound(t, c.Delete(t.Context(), "nobody"))
}

// read gets each of the things in a list, of which there are so many.
func read[T any](t *testing.T, get func(context.Context, string) (*T, error), list ngrokapi.Iter[*T], want int) {
	t.Helper()
	var found int
	for list.Next(t.Context()) {
		found++
		if got, err := get(t.Context(), idIn(t, list.Item())); err != nil || idIn(t, got) != idIn(t, list.Item()) {
			t.Errorf("get: %+v, %v", got, err)
		}
	}
	if list.Err() != nil || found != want {
		t.Errorf("%d are listed, want the agent's %d: %v", found, want, list.Err())
	}
}
