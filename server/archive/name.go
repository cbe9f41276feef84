package archive

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

const (
	longestName = 240 // what every file system takes, with a directory before it
	deepestName = 8
)

// names are the files of an archive. Two that one file system or another takes for the
// same file, or a file that is the directory of another, cannot be in one archive.
type names struct {
	files, directories map[string]bool // folded
}

func newNames() *names {
	return &names{files: make(map[string]bool), directories: make(map[string]bool)}
}

// add refuses a name that is no plain path below a directory, on any system.
func (n *names) add(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	folded := strings.ToLower(name)
	if n.files[folded] || n.directories[folded] {
		return invalid("%q is there twice", name)
	}
	n.files[folded] = true
	for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
		if n.files[dir] {
			return invalid("%q is below a file", name)
		}
		n.directories[dir] = true
	}
	return nil
}

// ValidName tells whether a file of this name, with slashes, can be in an archive.
func ValidName(name string) bool { return checkName(name) == nil }

func checkName(name string) error {
	if len(name) > longestName || strings.Count(name, "/") >= deepestName {
		return invalid("the name %q is longer than %d bytes or deeper than %d directories", shortened(name), longestName, deepestName)
	}
	if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) || name == "." || strings.EqualFold(name, manifestName) {
		return invalid("%q is no name of a file below a directory", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || strings.ContainsFunc(part, forbidden) {
			return invalid("%q has a character that names of files cannot have everywhere", name)
		}
	}
	return nil
}

// forbidden are the characters that some system reads as something else.
func forbidden(r rune) bool {
	return r < ' ' || r == 0x7f || r > 0x7e || strings.ContainsRune(`\:*?"<>|`, r)
}
