package trial

import (
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
)

// File is a policy with cases, and what is to become of them. Files for a policy that
// stands elsewhere have none.
type File struct {
	Target postern.Scheme `yaml:"target"`
	Last   bool           `yaml:"last"` // nobody stands behind
	Policy string         `yaml:"policy"`
	// Offline says that the cases mean nothing to a running server: they tell of other
	// times, or of services that are not there.
	Offline bool   `yaml:"offline"`
	Cases   []Case `yaml:"cases"`

	Surroundings `yaml:",inline"`
}

// ReadFile reads one. A field that is not known is an error, with its place.
func ReadFile(name string) (*File, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the cases cannot be read: %v", err).Because(err)
	}
	f, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	f.Geo.beside(filepath.Dir(name))
	return f, nil
}

// Parse is ReadFile for a text that is at hand; name is what errors call it.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Target: postern.HTTPS}
	if err := yaml.UnmarshalWithOptions(text, f, yaml.Strict()); err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s: %v", name, err).Because(err)
	}
	return f, nil
}
