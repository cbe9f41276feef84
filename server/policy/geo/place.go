package geo

import (
	"net/netip"
	"strconv"
)

// Place is where an address is. What is not known is empty. Names are in English.
type Place struct {
	City        string
	Continent   string
	Country     string
	CountryCode string // ISO 3166-1, two letters
	EU          bool   // the country is a member of the European Union
	MetroCode   string
	Subdivision string // the country's largest part, such as a state
	Timezone    string // "Europe/Berlin"
	Latitude    string // in degrees, as a decimal number
	Longitude   string
	Radius      string // in kilometres: how far off the address may be
	PostalCode  string
}

// System is whose an address is: an autonomous system of the internet's routing.
type System struct {
	Number       int64
	Organization string
}

// record is a City or Country database's, as far as it is used.
type record struct {
	City         named   `maxminddb:"city"`
	Continent    named   `maxminddb:"continent"`
	Country      country `maxminddb:"country"`
	Registered   country `maxminddb:"registered_country"`
	Subdivisions []named `maxminddb:"subdivisions"`
	Postal       struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"postal"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Radius    uint64   `maxminddb:"accuracy_radius"`
		MetroCode uint64   `maxminddb:"metro_code"`
		Timezone  string   `maxminddb:"time_zone"`
	} `maxminddb:"location"`
}

type named struct {
	Names struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

type country struct {
	named
	Code string `maxminddb:"iso_code"`
	EU   bool   `maxminddb:"is_in_european_union"`
}

// Place tells where an address is, by a database of cities or countries, and where it is
// registered, which is a country alone. Both are empty if nothing is known, or f is nil.
func (f *File) Place(addr netip.Addr) (at, registered Place) {
	var r record
	if !f.find(addr, &r) {
		return Place{}, Place{}
	}
	at = Place{
		City: r.City.Names.English, Continent: r.Continent.Names.English,
		Country: r.Country.Names.English, CountryCode: r.Country.Code, EU: r.Country.EU,
		Timezone: r.Location.Timezone, PostalCode: r.Postal.Code,
		Latitude: degrees(r.Location.Latitude), Longitude: degrees(r.Location.Longitude),
		Radius: unless0(r.Location.Radius), MetroCode: unless0(r.Location.MetroCode),
	}
	if len(r.Subdivisions) > 0 {
		at.Subdivision = r.Subdivisions[0].Names.English
	}
	return at, Place{Country: r.Registered.Names.English, CountryCode: r.Registered.Code, EU: r.Registered.EU}
}

// System tells whose an address is, by a database of autonomous systems; the zero value if
// that is not known, or f is nil.
func (f *File) System(addr netip.Addr) System {
	var r struct {
		Number       uint64 `maxminddb:"autonomous_system_number"`
		Organization string `maxminddb:"autonomous_system_organization"`
	}
	if !f.find(addr, &r) || r.Number > 1<<32-1 {
		return System{}
	}
	return System{Number: int64(r.Number), Organization: r.Organization} //nolint:gosec // 32 bits
}

func degrees(value *float64) string {
	if value == nil {
		return ""
	}
	return strconv.FormatFloat(*value, 'f', -1, 64)
}

func unless0(value uint64) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatUint(value, 10)
}
