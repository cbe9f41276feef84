package geo

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/postern-dev/postern"
)

// mostBytes bounds a file, as it is held in memory. GeoIP2's largest have 150 MiB.
const mostBytes = 1 << 30

// File is a database in MaxMind's format. Its methods may be called from anywhere at once;
// those that look up never touch the disk. It holds nothing that needs closing.
type File struct {
	path   string
	reader atomic.Pointer[maxminddb.Reader]

	mu     sync.Mutex
	read   state // of the file when it was read last, for good or bad
	latest state // when it was looked at last
}

// state tells one content of a file from another.
type state struct {
	changed time.Time
	size    int64
}

// Open reads a file. One that cannot be read or is no database is CodeConfigInvalid.
func Open(path string) (*File, error) {
	f := &File{path: path}
	now, err := f.look()
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.read, f.latest = now, now
	return f, nil
}

// Reload reads the file again if it has changed and was still since the last Reload, and
// tells whether its new content is in force. On error, which it tells once, the old one
// stays. The caller polls; a Reload without a change costs one stat.
func (f *File) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.look()
	if err != nil { // it is being replaced
		return false, nil
	}
	still := now == f.latest
	f.latest = now
	if now == f.read || !still {
		return false, nil
	}
	f.read = now
	return true, f.load()
}

func (f *File) look() (state, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return state{}, f.unusable(err)
	}
	return state{info.ModTime(), info.Size()}, nil
}

func (f *File) load() error {
	content, err := readAll(f.path)
	if err != nil {
		return f.unusable(err)
	}
	reader, err := maxminddb.OpenBytes(content)
	if err != nil {
		return f.unusable(err)
	}
	if err := try(reader); err != nil {
		return f.unusable(err)
	}
	f.reader.Store(reader)
	return nil
}

func (f *File) unusable(err error) error {
	return postern.Errorf(postern.CodeConfigInvalid, "%s is not a database that can be used: %v", f.path, err).Because(err)
}

func readAll(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(file, mostBytes+1))
	if err == nil && len(content) > mostBytes {
		err = fmt.Errorf("it is larger than %d bytes", mostBytes)
	}
	return content, err
}

// try looks some addresses up, all over IPv4: to walk through a file that is broken might
// take for ever.
func try(reader *maxminddb.Reader) error {
	for first := range 256 {
		var any map[string]any
		result := reader.Lookup(netip.AddrFrom4([4]byte{byte(first), 0, 2, 1}))
		if err := result.Decode(&any); err != nil && result.Found() {
			return err
		}
	}
	return nil
}

// find decodes what is known of an address, and tells whether anything is. A nil File
// knows nothing.
func (f *File) find(addr netip.Addr, to any) bool {
	if f == nil || !addr.IsValid() {
		return false
	}
	result := f.reader.Load().Lookup(addr.Unmap().WithZone(""))
	return result.Found() && result.Decode(to) == nil
}
