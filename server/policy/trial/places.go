package trial

import (
	"net/netip"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/geo"
)

// Geo is what is known of addresses: facts by network, or files in MaxMind's format. It is
// written as a map, or as the path of a file of cities or countries.
type Geo struct {
	File   string // of cities or countries; "" for none
	ASFile string // of autonomous systems; "" for none
	Known  map[string]Facts
}

// Facts are what is known of a network, as conn.client_ip has it.
type Facts struct {
	Location   Place  `yaml:"location"`            // .geo.location
	Registered Place  `yaml:"registered_location"` // .geo.registered_location
	As         System `yaml:"as"`
}

// Place is where an address is.
type Place struct {
	City        string `yaml:"city"`
	Continent   string `yaml:"continent"`
	Country     string `yaml:"country"`
	CountryCode string `yaml:"country_code"`
	EU          bool   `yaml:"is_eu"`
	MetroCode   string `yaml:"metro_code"`
	Subdivision string `yaml:"subdivision"`
	Timezone    string `yaml:"timezone"`
	Latitude    string `yaml:"latitude"`
	Longitude   string `yaml:"longitude"`
	Radius      string `yaml:"radius"`
	PostalCode  string `yaml:"postal_code"`
}

// System is whose an address is.
type System struct {
	Number       int64  `yaml:"number"`
	Organization string `yaml:"organization"`
}

// UnmarshalYAML reads a path, or a map of networks and of file and as_file.
func (g *Geo) UnmarshalYAML(text []byte) error {
	if yaml.Unmarshal(text, &g.File) == nil {
		return nil
	}
	var files struct {
		File   string `yaml:"file"`
		ASFile string `yaml:"as_file"`
	}
	var rest map[string]any
	if err := yaml.Unmarshal(text, &rest); err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, &files); err != nil {
		return err
	}
	g.File, g.ASFile, g.Known = files.File, files.ASFile, make(map[string]Facts, len(rest))
	delete(rest, "file")
	delete(rest, "as_file")
	for network, value := range rest {
		written, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		var facts Facts
		if err := yaml.UnmarshalWithOptions(written, &facts, yaml.Strict()); err != nil {
			return postern.Errorf(postern.CodeConfigInvalid, "geo: %s: %v", network, err)
		}
		g.Known[network] = facts
	}
	return nil
}

// beside takes paths for those below a folder.
func (g *Geo) beside(folder string) {
	for _, path := range []*string{&g.File, &g.ASFile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
}

func (g Geo) over(other Geo) Geo {
	made := Geo{File: g.File, ASFile: g.ASFile, Known: over(g.Known, other.Known)}
	if made.File == "" {
		made.File = other.File
	}
	if made.ASFile == "" {
		made.ASFile = other.ASFile
	}
	return made
}

// places is nil where nothing is known of any address.
func (g Geo) places() (policy.Places, error) {
	p := &places{}
	for text, facts := range g.Known {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "geo: %s", postern.AsError(err).Message)
		}
		p.known = append(p.known, knownNetwork{network, facts})
	}
	var err error
	if g.File != "" {
		if p.cities, err = geo.Open(g.File); err != nil {
			return nil, err
		}
	}
	if g.ASFile != "" {
		if p.systems, err = geo.Open(g.ASFile); err != nil {
			return nil, err
		}
	}
	if len(p.known) == 0 && p.cities == nil && p.systems == nil {
		return nil, nil
	}
	return p, nil
}

// places looks addresses up: facts that are written down count before files.
type places struct {
	known           []knownNetwork
	cities, systems *geo.File
}

type knownNetwork struct {
	network netip.Prefix
	facts   Facts
}

// find gives the facts of the narrowest network around an address.
func (p *places) find(addr netip.Addr) (facts Facts, found bool) {
	narrowest := -1
	for _, k := range p.known {
		if k.network.Contains(addr.Unmap()) && k.network.Bits() > narrowest {
			facts, narrowest = k.facts, k.network.Bits()
		}
	}
	return facts, narrowest >= 0
}

// Place implements policy.Places.
func (p *places) Place(addr netip.Addr) (at, registered geo.Place) {
	if facts, found := p.find(addr); found {
		return geo.Place(facts.Location), geo.Place(facts.Registered)
	}
	return p.cities.Place(addr)
}

// System implements policy.Places.
func (p *places) System(addr netip.Addr) geo.System {
	if facts, found := p.find(addr); found {
		return geo.System(facts.As)
	}
	return p.systems.System(addr)
}
