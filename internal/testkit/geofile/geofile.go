// Package geofile writes small databases in MaxMind's format.
package geofile

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// Record is what a database says of a network: texts, numbers, booleans, and Records and
// lists of them.
type Record map[string]any

// Make gives the bytes of a database of a type, such as "GeoLite2-City", with records by
// their networks.
func Make(t testing.TB, kind string, records map[string]Record) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true, BuildEpoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		if err := tree.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(network)), convert(record)); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := tree.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// City is a record of a database of cities.
func City(city, country, code string, latitude, longitude float64) Record {
	english := func(name string) Record { return Record{"names": Record{"en": name, "de": "auf Deutsch"}} }
	in := Record{"names": Record{"en": country}, "iso_code": code, "is_in_european_union": code == "DE"}
	return Record{
		"city": english(city), "continent": english("Europe"), "country": in, "registered_country": Record{"names": Record{"en": "Portugal"}, "iso_code": "PT", "is_in_european_union": true},
		"subdivisions": []any{english("Land of " + city), english("District")}, "postal": Record{"code": "12345"},
		"location": Record{"latitude": latitude, "longitude": longitude, "accuracy_radius": uint64(20), "metro_code": uint64(807), "time_zone": "Europe/Berlin"},
	}
}

// System is a record of a database of autonomous systems.
func System(number uint64, organization string) Record {
	return Record{"autonomous_system_number": number, "autonomous_system_organization": organization}
}

func convert(value any) mmdbtype.DataType {
	switch value := value.(type) {
	case Record:
		all := mmdbtype.Map{}
		for name, one := range value {
			all[mmdbtype.String(name)] = convert(one)
		}
		return all
	case []any:
		var all mmdbtype.Slice
		for _, one := range value {
			all = append(all, convert(one))
		}
		return all
	case string:
		return mmdbtype.String(value)
	case bool:
		return mmdbtype.Bool(value)
	case float64:
		return mmdbtype.Float64(value)
	case uint64:
		return mmdbtype.Uint64(value)
	}
	panic(fmt.Sprintf("geofile: %T", value))
}
