package geo_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/geofile"
	"github.com/postern-dev/postern/server/policy/geo"
)

func cities(t testing.TB) []byte {
	return geofile.Make(t, "GeoLite2-City", map[string]geofile.Record{
		"192.0.2.0/24":   geofile.City("Berlin", "Germany", "DE", 52.5, 13.4),
		"2001:db8::/32":  geofile.City("Bern", "Switzerland", "CH", 46.948, -7.5),
		"203.0.113.0/24": {"country": geofile.Record{"names": geofile.Record{"en": "Chile"}, "iso_code": "CL"}},
		"198.18.0.0/15":  {"city": "no object"},
	})
}

// put writes a file; each has another time than the one before.
func put(t testing.TB, path string, content []byte) string {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	if info, err := os.Stat(path); err == nil {
		at = info.ModTime().Add(time.Second)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, content []byte) (*geo.File, string) {
	t.Helper()
	path := put(t, filepath.Join(t.TempDir(), "a.mmdb"), content)
	f, err := geo.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

func TestPlace(t *testing.T) {
	f, _ := open(t, cities(t))
	berlin := geo.Place{City: "Berlin", Continent: "Europe", Country: "Germany", CountryCode: "DE", EU: true, MetroCode: "807", Subdivision: "Land of Berlin",
		Timezone: "Europe/Berlin", Latitude: "52.5", Longitude: "13.4", Radius: "20", PostalCode: "12345"}
	bern := berlin
	bern.City, bern.Country, bern.CountryCode, bern.EU, bern.Subdivision, bern.Latitude, bern.Longitude = "Bern", "Switzerland", "CH", false, "Land of Bern", "46.948", "-7.5"
	for addr, want := range map[string]geo.Place{
		"192.0.2.7": berlin, "::ffff:192.0.2.7": berlin, "2001:db8::1": bern, "2001:db8::1%eth0": bern,
		"203.0.113.1": {Country: "Chile", CountryCode: "CL"}, "198.51.100.1": {}, "2001:db9::1": {}, "198.18.0.1": {},
	} {
		at, registered := f.Place(netip.MustParseAddr(addr))
		if at != want {
			t.Errorf("%s: %+v, want %+v", addr, at, want)
		}
		if portugal := (geo.Place{Country: "Portugal", CountryCode: "PT", EU: true}); want.City != "" && registered != portugal {
			t.Errorf("%s is registered in %+v", addr, registered)
		}
	}
	if at, _ := f.Place(netip.Addr{}); at != (geo.Place{}) {
		t.Errorf("no address is at %+v", at)
	}
	var none *geo.File
	if at, _ := none.Place(netip.MustParseAddr("192.0.2.7")); at != (geo.Place{}) {
		t.Errorf("without a file: %+v", at)
	}
}

func systems(t testing.TB) []byte {
	return geofile.Make(t, "GeoLite2-ASN", map[string]geofile.Record{
		"192.0.2.0/24": geofile.System(64496, "Example Net"), "198.51.100.0/24": geofile.System(1<<40, "Nobody"),
	})
}

func TestSystem(t *testing.T) {
	f, _ := open(t, systems(t))
	for addr, want := range map[string]geo.System{"192.0.2.7": {64496, "Example Net"}, "198.51.100.1": {}, "203.0.113.1": {}} {
		if got := f.System(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %+v", addr, got)
		}
	}
}

// Files that are no databases, or broken ones, are refused.
func TestOpenRefuses(t *testing.T) {
	good := cities(t)
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("no database"), "cut": good[:len(good)-20],
	} {
		_, err := geo.Open(put(t, filepath.Join(dir, name), content))
		if known := new(postern.Error); !errors.As(err, &known) || known.Code != postern.CodeConfigInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := geo.Open(path); err == nil {
			t.Errorf("%s is opened", path)
		}
	}
}

// A file that has changed is read once it is still; a broken one leaves the last good one.
func TestReload(t *testing.T) {
	f, path := open(t, cities(t))
	step := func(what string, changed, refused bool, city string) {
		t.Helper()
		got, err := f.Reload()
		if got != changed || (err != nil) != refused {
			t.Errorf("%s: changed %v, %v", what, got, err)
		}
		if at, _ := f.Place(netip.MustParseAddr("192.0.2.7")); at.City != city {
			t.Errorf("%s: %+v", what, at)
		}
	}
	step("nothing new", false, false, "Berlin")
	put(t, path, cities(t)[:500])
	step("while it is written", false, false, "Berlin")
	step("broken", true, true, "Berlin")
	step("still broken", false, false, "Berlin")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("gone", false, false, "Berlin")
	put(t, path, geofile.Make(t, "GeoLite2-City", map[string]geofile.Record{"192.0.2.0/24": geofile.City("Hamburg", "Germany", "DE", 53.5, 10)}))
	step("replaced a moment ago", false, false, "Berlin")
	step("replaced", true, false, "Hamburg")
	step("afterwards", false, false, "Hamburg")
}

// Look-ups go on while the file is replaced.
func TestReloadWhileItIsUsed(t *testing.T) {
	f, path := open(t, cities(t))
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if at, _ := f.Place(netip.MustParseAddr("192.0.2.7")); at.City != "Berlin" {
						t.Errorf("%+v", at)
						return
					}
				}
			}
		})
	}
	for range 20 {
		put(t, path, cities(t))
		for range 2 {
			if _, err := f.Reload(); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	all.Wait()
}

// Whatever is in a file, looking something up in it does not panic.
func FuzzFile(f *testing.F) {
	good := cities(f)
	f.Add(good, []byte{192, 0, 2, 7})
	f.Add(systems(f), []byte{192, 0, 2, 7})
	f.Add(good[:600], []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content, from []byte) {
		path := filepath.Join(dir, "fuzz.mmdb")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := geo.Open(path)
		if err != nil {
			return
		}
		addr, _ := netip.AddrFromSlice(from)
		file.Place(addr)
		file.System(addr)
	})
}

func BenchmarkPlace(b *testing.B) {
	f, _ := open(b, cities(b))
	addr := netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		f.Place(addr)
	}
}
