package policy

import (
	"net/netip"
	"sync"

	"github.com/postern-dev/postern/server/policy/expression"
	"github.com/postern-dev/postern/server/policy/geo"
)

// Places knows where addresses are, and whose.
type Places interface {
	Place(addr netip.Addr) (at, registered geo.Place)
	System(addr netip.Addr) geo.System
}

// place is where the address is, and where it is registered. What is not known is empty.
func (f addressFacts) place() (at, registered geo.Place) {
	if f.places == nil {
		return geo.Place{}, geo.Place{}
	}
	return f.places.Place(f.addr)
}

// placeFacts is a place, looked up once somebody asks.
type placeFacts struct{ find func() geo.Place }

func newPlaceFacts(find func() geo.Place) placeFacts { return placeFacts{sync.OnceValue(find)} }

// Field implements expression.Object.
func (f placeFacts) Field(name string) any {
	p := f.find()
	switch name {
	case "city":
		return p.City
	case "continent":
		return p.Continent
	case "country":
		return p.Country
	case "country_code":
		return p.CountryCode
	case "is_eu":
		return p.EU
	case "metro_code":
		return p.MetroCode
	case "subdivision":
		return p.Subdivision
	case "timezone":
		return p.Timezone
	case "latitude":
		return p.Latitude
	case "longitude":
		return p.Longitude
	case "radius":
		return p.Radius
	case "postal_code":
		return p.PostalCode
	}
	return nil
}

// originFacts is conn.client_ip.geo: where an address is, and where it is registered.
type originFacts struct{ addressFacts }

// Field implements expression.Object.
func (f originFacts) Field(name string) any {
	switch name {
	case "location":
		return newPlaceFacts(func() geo.Place { at, _ := f.place(); return at })
	case "registered_location":
		return newPlaceFacts(func() geo.Place { _, registered := f.place(); return registered })
	}
	return nil
}

// systemFacts is conn.client_ip.as.
type systemFacts struct{ addressFacts }

// Field implements expression.Object.
func (f systemFacts) Field(name string) any {
	if f.places == nil {
		return nil
	}
	switch s := f.places.System(f.addr); {
	case s == geo.System{}:
	case name == "number":
		return s.Number
	case name == "organization":
		return s.Organization
	}
	return nil
}

var (
	_ expression.Object = placeFacts{}
	_ expression.Object = originFacts{}
	_ expression.Object = systemFacts{}
)
