package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/internal/run"
)

// The names in a data directory.
const (
	lockName     = "lock"
	databaseName = "postern.db"
	socketName   = "control.sock"
	processesDir = "run" // a socket of each process that uses the directory
	caName       = "ca"
	signingName  = "signing.key" // signs what agents keep: cookies and tokens
	namesName    = "names.key"   // derives assigned names
)

const keySize = 32

// dataDir is a data directory that this process alone uses.
type dataDir struct {
	path string
	lock *os.File
}

// inheritDataDir uses a directory whose lock another process has shared with us.
func inheritDataDir(path string, lock *os.File) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	return &dataDir{path: path, lock: lock}, nil
}

// openDataDir makes the directory if it is missing, and locks it. CodeDataDirLocked
// when another process has it.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path) // bootstrap prints paths for other directories' processes
	if err != nil {
		return nil, unusable(path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, unusable(path, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unusable(path, err)
	}
	// The file itself stays for ever: to remove a lock file is to let two in.
	if err := run.Lock(lock); err != nil {
		return nil, errors.Join(postern.Errorf(postern.CodeDataDirLocked,
			"data_dir %s is used by another process", path).Because(err), lock.Close())
	}
	return &dataDir{path: path, lock: lock}, nil
}

func unusable(path string, err error) error {
	return postern.Errorf(postern.CodeConfigInvalid, "data_dir %s cannot be used: %v", path, reason(err)).Because(err)
}

// reason gives what the operating system said, without the path that the message
// has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// close gives the directory back, unless that was done before.
func (d *dataDir) close() error {
	if err := d.lock.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// key reads a secret key, and makes it the first time.
func (d *dataDir) key(name string) ([]byte, error) {
	path := d.file(name)
	key, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.makeKey(path)
	case err != nil:
		return nil, unusable(d.path, err)
	case len(key) != keySize:
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"%s has %d bytes instead of %d; restore it from a backup, or remove it and agents lose the addresses they had", path, len(key), keySize)
	}
	return key, checkMode(path)
}

// checkMode refuses a secret that others may read, except on Windows, where modes
// say nothing.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return postern.Errorf(postern.CodeConfigInvalid, "%s has mode %04o, so others can read or change it; chmod 600 it", path, info.Mode().Perm())
	}
	return nil
}

// makeKey writes a new key so that a crash leaves either all of it or nothing.
func (d *dataDir) makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails, see crypto/rand
	if err := disk.Replace(path, key, 0o600); err != nil {
		return nil, unusable(d.path, err)
	}
	return key, nil
}
