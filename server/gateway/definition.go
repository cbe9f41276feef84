package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/server/store"
)

// definition is a private gateway as the store has it, its rules read. It is never changed.
type definition struct {
	store.Gateway
	ports  allow.Ports
	tokens map[string]*token
}

// token lets connectors of a gateway in. It is never changed.
type token struct {
	store.GatewayToken
	ports   allow.Ports
	targets allow.Targets
}

// secretOf is the hash by which a token that was admitted is known: that of what follows
// its last underscore.
func secretOf(t postern.Secret) [sha256.Size]byte {
	text := t.Reveal()
	return sha256.Sum256([]byte(text[strings.LastIndexByte(text, '_')+1:]))
}

// ends is when the token ceases to be good that has the hash; over tells that it is not
// good at all, and a zero time is never.
func (t *token) ends(sum [sha256.Size]byte, now time.Time) (at time.Time, over bool) {
	current := subtle.ConstantTimeCompare(t.Verifier[:], sum[:]) == 1
	previous := subtle.ConstantTimeCompare(t.Rotation.Previous[:], sum[:]) == 1 && t.Rotation.Overlaps(now)
	switch {
	case t.Expired(now) || !current && !previous:
		return now, true
	case current || !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(t.Rotation.Until):
		return t.ExpiresAt, false
	}
	return t.Rotation.Until, false
}

// admits tells whether a consumer's address may connect.
func (d *definition) admits(addr netip.Addr) bool {
	if len(d.Consumers) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(d.Consumers, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// moved tells whether what connectors hold to must be built anew.
func (d *definition) moved(now *definition) bool {
	return d.Path != now.Path || d.Account != now.Account || !slices.Equal(d.Listen, now.Listen)
}

// table is all definitions at one moment.
type table struct {
	byID     map[string]*definition
	byPath   map[string]*definition
	byDomain map[postern.Hostname]*definition
	byName   map[ownName]*definition
	tokens   map[string]store.GatewayToken
}

type ownName struct {
	account postern.AccountID
	name    postern.Hostname
}

// newTable reads rows. What cannot be read allows nothing: a gateway or token whose rules
// are broken is none, and is in faults.
func newTable(gateways []store.Gateway, tokens []store.GatewayToken) (t *table, faults map[string]error) {
	t = &table{
		byID: make(map[string]*definition, len(gateways)), byPath: make(map[string]*definition, len(gateways)),
		byDomain: make(map[postern.Hostname]*definition), byName: make(map[ownName]*definition, len(gateways)),
		tokens: make(map[string]store.GatewayToken, len(tokens)),
	}
	faults = make(map[string]error)
	for _, row := range gateways {
		d := &definition{Gateway: row, tokens: make(map[string]*token)}
		var err error
		if d.ports, err = allow.ParsePorts(row.Ports); err != nil {
			faults[row.ID] = err
			continue
		}
		t.byID[row.ID], t.byPath[row.Path], t.byName[ownName{row.Account, row.Name}] = d, d, d
		if row.Domain != "" {
			t.byDomain[row.Domain] = d
		}
	}
	for _, row := range tokens {
		d, one := t.byID[row.Gateway], &token{GatewayToken: row}
		if d == nil {
			continue
		}
		var err error
		if one.ports, err = allow.ParsePorts(row.Ports); err == nil {
			one.targets, err = allow.ParseTargets(row.Targets)
		}
		if err != nil {
			faults[row.ID] = err
			continue
		}
		d.tokens[row.ID], t.tokens[row.ID] = one, row
	}
	return t, faults
}

// find resolves what a consumer of an account calls a gateway: its id, the last element
// of its address, or its name. Those of other accounts are none.
func (t *table) find(account postern.AccountID, text string) *definition {
	d := t.byID[text]
	if d == nil {
		d = t.byPath[text]
	}
	if d == nil {
		name, err := postern.ParseHostname(text)
		if err != nil {
			return nil
		}
		d = t.byName[ownName{account, name}]
	}
	if d == nil || d.Account != account {
		return nil
	}
	return d
}
