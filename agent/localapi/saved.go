package localapi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// The kinds of saved bodies.
const (
	savedTunnel   = "tunnel"
	savedEndpoint = "endpoint"
)

// Saved keeps the endpoints that the API started with "persist": true in a file, so that
// they are there again after a restart. The file may hold passwords, as configurations
// do: it is for its owner only. Make one with OpenSaved. Its methods may be called
// concurrently, but two agents must not share a file.
type Saved struct {
	path string

	mu    sync.Mutex
	items []savedItem
}

type savedItem struct {
	Name string          `json:"name"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// mostSaved bounds the file.
const mostSaved = 16 << 20

// OpenSaved reads the file; that there is none yet is no error. What cannot be read is
// CodeFileUnreadable.
func OpenSaved(path string) (*Saved, error) {
	s := &Saved{path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err == nil && info.Size() > mostSaved:
		return nil, postern.Errorf(postern.CodeFileUnreadable, "%s: larger than any list of saved tunnels", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "%v", err)
	}
	if err := json.Unmarshal(text, &s.items); err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "%s: %v; remove the file to start without saved tunnels", path, err)
	}
	return s, nil
}

// Endpoints gives what is saved, to be taken online with those of the configuration.
// both is Config's. One that cannot be read any more is among the problems, and stays in
// the file.
func (s *Saved) Endpoints(both bool) (endpoints []config.Endpoint, problems []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range s.items {
		parse := config.ParseEndpoint
		if item.Kind == savedTunnel {
			parse = func(body []byte) (config.Endpoint, []string, error) { return config.ParseTunnel(body, both) }
		}
		e, _, err := parse(item.Body)
		if err != nil {
			problems = append(problems, postern.Errorf(postern.CodeConfigInvalid, "%s: tunnel %q: %v", s.path, item.Name, err))
			continue
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, problems
}

// add saves an endpoint, in place of an older one of its name.
func (s *Saved) add(name, kind string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := without(s.items, name)
	return s.write(append(items, savedItem{Name: name, Kind: kind, Body: slices.Clone(body)}))
}

// remove forgets an endpoint, if it is saved.
func (s *Saved) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := without(s.items, name)
	if len(items) == len(s.items) {
		return nil
	}
	return s.write(items)
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
	unsaved := func(err error) error {
		return postern.Errorf(postern.CodeFileUnreadable, "the tunnels could not be saved: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return unsaved(err)
	}
	draft, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*") // 0600
	if err != nil {
		return unsaved(err)
	}
	defer os.Remove(draft.Name()) // nothing is there once it was renamed
	_, err = draft.Write(append(text, '\n'))
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), s.path)
	}
	if err != nil {
		return unsaved(err)
	}
	s.items = items
	return nil
}
