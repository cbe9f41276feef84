package access

import (
	"maps"

	"github.com/postern-dev/postern"
)

// Ingresses are the domains by which agents of one account reach the server. They are
// not changed once they are made; nil has none.
type Ingresses struct {
	owners map[postern.Hostname]postern.AccountID
}

// NewIngresses makes them from the owners of domains; nil without any.
func NewIngresses(owners map[postern.Hostname]postern.AccountID) *Ingresses {
	if len(owners) == 0 {
		return nil
	}
	return &Ingresses{maps.Clone(owners)}
}

// Owner finds the ingress that name is, or is below, and whose it is.
func (i *Ingresses) Owner(name postern.Hostname) (owner postern.AccountID, ingress postern.Hostname, found bool) {
	if i == nil {
		return "", "", false
	}
	for at := name; at != ""; at = at.Parent() {
		if owner, found = i.owners[at]; found {
			return owner, at, true
		}
	}
	return "", "", false
}

// SetIngresses puts ingresses into force.
func (c *Current) SetIngresses(i *Ingresses) { c.ingresses.Store(i) }

// Ingress is Ingresses.Owner of those in force; nil has none.
func (c *Current) Ingress(name postern.Hostname) (owner postern.AccountID, ingress postern.Hostname, found bool) {
	if c == nil {
		return "", "", false
	}
	return c.ingresses.Load().Owner(name)
}

// Foreign refuses whoever comes, by one of names, over an ingress of another account. nil
// has no ingresses. Errors are CodeIngressForeign.
func (c *Current) Foreign(account postern.AccountID, names []postern.Hostname) error {
	for _, name := range names {
		if owner, ingress, found := c.Ingress(name); found && owner != account {
			return postern.Errorf(postern.CodeIngressForeign, "Your account is not permitted to use the agent ingress %q.", ingress)
		}
	}
	return nil
}
