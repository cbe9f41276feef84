package localapi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/internal/run"
)

// The kinds of saved bodies.
const (
	savedTunnel   = "tunnel"
	savedEndpoint = "endpoint"
)

// Saved keeps the endpoints that the API started with "persist": true in a file, so that
// they are there again after a restart. The file may hold passwords, as configurations
// do: it is for its owner only. It belongs to one agent at a time, who has a lock on a file
// beside it from when there is something to keep. Make one with OpenSaved and close it.
// Its methods may be called concurrently.
type Saved struct {
	path string

	mu    sync.Mutex
	lock  *os.File // nil: not taken yet
	items []savedItem
}

type savedItem struct {
	Name string          `json:"name"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
	// Until is when its ttl is over: a restart does not give it more time.
	Until time.Time `json:"until,omitzero"`
}

func (i *savedItem) over(now time.Time) bool { return !i.Until.IsZero() && !now.Before(i.Until) }

// mostSaved bounds the file.
const mostSaved = 16 << 20

// OpenSaved reads the file; that there is none yet is no error. What cannot be read is
// CodeFileUnreadable, a file that another agent has CodeConflict.
func OpenSaved(path string) (*Saved, error) {
	s := &Saved{path: path}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	// Where no lock can be made nothing can be written, and reading does no harm.
	if err := s.take(); postern.HasCode(err, postern.CodeConflict) {
		return nil, err
	}
	if err := s.read(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// take locks the file, unless that has happened.
func (s *Saved) take() error {
	if s.lock != nil {
		return nil
	}
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := run.Lock(lock); err != nil {
		_ = lock.Close() // nothing was written
		return postern.Errorf(postern.CodeConflict, "%s is in use by another agent with the same configuration", s.path).Because(err)
	}
	s.lock = lock
	return nil
}

// Close gives the file to others. Nothing may be saved any more.
func (s *Saved) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}

func (s *Saved) read() error {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && info.Size() > mostSaved:
		return postern.Errorf(postern.CodeFileUnreadable, "%s: larger than any list of saved tunnels", s.path)
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "%v", err)
	}
	s.items = nil
	if err := json.Unmarshal(text, &s.items); err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "%s: %v; remove the file to start without saved tunnels", s.path, err)
	}
	return nil
}

// Endpoints gives what is saved, to be taken online with those of the configuration.
// both is Config's. One that cannot be read any more is among the problems, and stays in
// the file. One whose time is over is left out.
func (s *Saved) Endpoints(both bool) (endpoints []config.Endpoint, problems []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, item := range s.items {
		if item.over(now) {
			continue
		}
		parse := config.ParseEndpoint
		if item.Kind == savedTunnel {
			parse = func(body []byte) (config.Endpoint, []string, error) { return config.ParseTunnel(body, both) }
		}
		e, _, err := parse(item.Body)
		if err != nil {
			problems = append(problems, postern.Errorf(postern.CodeConfigInvalid, "%s: tunnel %q: %v", s.path, item.Name, err))
			continue
		}
		if !item.Until.IsZero() {
			e.TTL = item.Until.Sub(now)
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, problems
}

// add saves an endpoint, in place of an older one of its name.
func (s *Saved) add(e *config.Endpoint, kind string, body []byte) error {
	item := savedItem{Name: e.Name, Kind: kind, Body: slices.Clone(body)}
	if e.TTL > 0 {
		item.Until = time.Now().Add(e.TTL).Round(0)
	}
	return s.change(func(items []savedItem) []savedItem { return append(without(items, e.Name), item) })
}

// remove forgets an endpoint, if it is saved.
func (s *Saved) remove(name string) error {
	return s.change(func(items []savedItem) []savedItem { return without(items, name) })
}

// change writes what to makes of the list, if that is another.
func (s *Saved) change(to func([]savedItem) []savedItem) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 && len(to(nil)) == 0 {
		return nil // an agent that keeps nothing needs no file
	}
	if s.lock == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	now := time.Now()
	items := slices.DeleteFunc(slices.Clone(s.items), func(i savedItem) bool { return i.over(now) })
	if items = to(items); slices.EqualFunc(items, s.items, func(a, b savedItem) bool {
		return a.Name == b.Name && string(a.Body) == string(b.Body) && a.Until.Equal(b.Until)
	}) {
		return nil
	}
	return s.write(items)
}

// begin takes the file before the first change: another agent may have had it
// meanwhile.
func (s *Saved) begin() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return notSaved(err)
	}
	if err := s.take(); err != nil {
		return notSaved(err)
	}
	return s.read()
}

func without(items []savedItem, name string) []savedItem {
	return slices.DeleteFunc(slices.Clone(items), func(i savedItem) bool { return i.Name == name })
}

// write replaces the file at once, whatever happens: it holds the old list or the new.
func (s *Saved) write(items []savedItem) error {
	text, err := json.MarshalIndent(items, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.Replace(s.path, append(text, '\n'), 0o600); err != nil {
		return unsaved(err)
	}
	s.items = items
	return nil
}

func notSaved(err error) error {
	return postern.Errorf(postern.CodeFileUnreadable, "the tunnels could not be saved: %v", err).Because(err)
}
