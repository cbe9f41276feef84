package service

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/store"
)

// clouds are the public and internal cloud endpoints, and the domains of private gateways, by what visitors are told apart by, in memory:
// agents that bind are held against them without asking the store.
//
// A cloud endpoint is here before the live ones are looked at, and an agent's endpoint is
// live before this is looked at. So of two that come at the same time at least one sees
// the other.
type clouds struct {
	mu    sync.RWMutex
	at    map[route.Key]map[string]occupant
	homes map[string]route.Key // of each entry
}

type occupant struct {
	account postern.AccountID
	url     postern.URL
	pooling bool
}

func newClouds() *clouds {
	return &clouds{at: make(map[route.Key]map[string]occupant), homes: make(map[string]route.Key)}
}

// provisional marks the entry of what is not committed yet; ids have no such character.
const provisional = "?"

// hold enters row for the time of a transaction, and from then on if that is committed.
func (c *clouds) hold(d *draft, row *store.CloudEndpoint) {
	if row.Binding == bindingKubernetes {
		d.committed = append(d.committed, func() { c.forget(row.ID) })
		return
	}
	held := *row
	c.put(held.ID+provisional, &held)
	d.undone = append(d.undone, func() { c.forget(held.ID + provisional) })
	d.committed = append(d.committed, func() {
		c.put(held.ID, &held)
		c.forget(held.ID + provisional)
	})
}

func (c *clouds) put(name string, row *store.CloudEndpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(name)
	key := route.KeyOf(row.URL())
	if c.at[key] == nil {
		c.at[key] = make(map[string]occupant)
	}
	c.at[key][name] = occupant{account: row.Account, url: row.URL(), pooling: row.Pooling}
	c.homes[name] = key
}

func (c *clouds) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(name)
}

func (c *clouds) remove(name string) {
	key, known := c.homes[name]
	if !known {
		return
	}
	delete(c.homes, name)
	delete(c.at[key], name)
	if len(c.at[key]) == 0 {
		delete(c.at, key)
	}
}

// admits tells whether an account's agent may be at a URL, as far as cloud endpoints are
// concerned.
func (c *clouds) admits(account postern.AccountID, u postern.URL, pooling bool) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, one := range c.at[route.KeyOf(u)] {
		if one.account != account || one.url != u || !one.pooling || !pooling {
			return false
		}
	}
	return true
}

// CheckCloud refuses an agent's endpoint where a cloud endpoint is, with
// CodeAlreadyOnline; both may be there if they are of one account and allow pooling. The
// caller has registered its endpoint already.
func (s *Service) CheckCloud(account postern.AccountID, u postern.URL, pooling bool) error {
	if s.clouds.admits(account, u, pooling) {
		return nil
	}
	return postern.Errorf(postern.CodeAlreadyOnline, "a cloud endpoint or private gateway has %s; delete it first, or enable pooling for both endpoints", u)
}

// sameAddress tells whether visitors of two endpoints cannot be told apart.
func sameAddress(a, b postern.URL) bool { return route.KeyOf(a) == route.KeyOf(b) }

// recallClouds fills the memory from the store.
func (s *Service) recallClouds(ctx context.Context, tx store.Tx) error {
	err := eachRow(ctx, tx.Gateways(), store.Compare{Field: "domain", Op: store.Differs, Value: nil}, func(row *store.Gateway) error {
		s.clouds.put(row.ID, standIn(row))
		return nil
	})
	if err != nil {
		return err
	}
	before := ""
	for {
		rows, err := tx.CloudEndpoints().List(ctx, store.Page{Before: before, Limit: page})
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			before = rows[i].ID
			if rows[i].Binding != bindingKubernetes {
				s.clouds.put(rows[i].ID, &rows[i])
			}
		}
	}
}
