package setup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

// installed is where the program is put that was started from somewhere else.
const installed = "/usr/local/bin/postern"

// Lasting tells whether a program may stay where it is: a service sees no home directories
// and no temporary ones of others, and what is there goes with its owner.
func Lasting(executable string) bool {
	for _, dir := range []string{"/usr/", "/opt/", "/bin/", "/sbin/", "/nix/", "/srv/"} {
		if strings.HasPrefix(executable, dir) {
			return true
		}
	}
	return false
}

// InstallBinary puts a copy of a program where a service finds it, and tells whether another
// one was there. Errors are CodeFileUnreadable.
func InstallBinary(executable string) (path string, changed bool, err error) {
	text, err := os.ReadFile(executable)
	if err != nil {
		return "", false, postern.Errorf(postern.CodeFileUnreadable, "%s cannot be read: %v", executable, err).Because(err)
	}
	if there, err := os.ReadFile(installed); err == nil && bytes.Equal(there, text) {
		return installed, false, nil
	}
	err = os.MkdirAll(filepath.Dir(installed), 0o755)
	if err == nil {
		err = disk.Replace(installed, text, 0o755)
	}
	if err != nil {
		return "", false, postern.Errorf(postern.CodeFileUnreadable, "%s cannot be written: %v", installed, err).Because(err)
	}
	return installed, true, nil
}
