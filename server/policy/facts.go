package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/postern-dev/postern/server/policy/expression"
)

// connFacts is conn, in expressions.
type connFacts struct{ *Evaluation }

// Field implements expression.Object.
func (f connFacts) Field(name string) any {
	c := f.subject.Connection
	switch name {
	case "client_ip":
		return addressFacts{c.Client(), f.world.Places}
	case "client_port":
		return int64(c.Peer().Port())
	case "server_ip":
		return addressFacts{c.Local().Addr(), f.world.Places}
	case "server_port":
		return int64(c.Local().Port())
	case "server_region":
		return f.subject.Endpoint.Region
	case "bytes_in":
		in, _ := c.Moved()
		return in
	case "bytes_out":
		_, out := c.Moved()
		return out
	case "geo":
		if f.world.Places == nil {
			return nil
		}
		return originFacts{addressFacts{c.Client(), f.world.Places}}.Field("location")
	case "ts":
		return connTimes(f)
	case "tls":
		if state := c.TLS(); state != nil {
			return tlsFacts{state, c}
		}
		if c.ServerName() != "" {
			return helloFacts{c}
		}
	}
	return nil
}

type connTimes struct{ *Evaluation }

// Field implements expression.Object.
func (f connTimes) Field(name string) any {
	if name == "start" {
		return f.subject.Connection.Began()
	}
	return nil
}

// addressFacts is an address: its text, and what is known of it.
type addressFacts struct {
	addr   netip.Addr
	places Places // nil: nothing is known
}

// Text implements expression.Text.
func (f addressFacts) Text() string { return f.addr.Unmap().String() }

// Field implements expression.Object.
func (f addressFacts) Field(name string) any {
	switch {
	case f.places == nil:
	case name == "geo":
		return originFacts{f}
	case name == "as":
		return systemFacts{f}
	}
	return nil
}

// endpointFacts is endpoint.
type endpointFacts struct{ *Evaluation }

// Field implements expression.Object.
func (f endpointFacts) Field(name string) any {
	e := f.subject.Endpoint
	switch name {
	case "id":
		return string(e.ID)
	case "url":
		return e.Public
	case "host":
		return string(e.URL.Host)
	case "port":
		return int64(e.port())
	case "addr":
		return fmt.Sprintf("%s:%d", e.URL.Host, e.port())
	case "protocol":
		return string(e.URL.Scheme)
	}
	return nil
}

// port is the one that visitors dial: of URLs that do not show it, their scheme's.
func (e Endpoint) port() uint16 {
	if public, err := url.Parse(e.Public); err == nil {
		if port, err := strconv.ParseUint(public.Port(), 10, 16); err == nil {
			return uint16(port)
		}
	}
	return cmp.Or(e.URL.Port, e.URL.Scheme.DefaultPort())
}

var _ expression.Text = addressFacts{}
