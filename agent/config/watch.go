package config

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/postern-dev/postern"
)

// settle is how long files must be quiet before they are read again: editors write in
// several steps.
const settle = 200 * time.Millisecond

// Watch looks at files until ctx ends and sends whenever what they hold has changed:
// written in place, replaced, or behind a link that leads elsewhere now. A change
// that nobody has received yet stands for later ones too. The channel is closed at the
// end. Errors are CodeFileUnreadable: a directory cannot be watched.
func Watch(ctx context.Context, paths ...string) (<-chan struct{}, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, cannotWatch(err)
	}
	for _, path := range paths {
		// The directory: a file that is replaced is another one afterwards.
		if err := watcher.Add(filepath.Dir(path)); err != nil {
			_ = watcher.Close() // the first error is the one to tell
			return nil, cannotWatch(err)
		}
	}
	w := &watch{watcher: watcher, paths: paths, changed: make(chan struct{}, 1)}
	w.look() // before the return: what is written from now on is a change
	go w.run(ctx)
	return w.changed, nil
}

func cannotWatch(err error) error {
	return postern.Errorf(postern.CodeFileUnreadable, "the configuration files cannot be watched: %v", err).Because(err)
}

type watch struct {
	watcher *fsnotify.Watcher
	paths   []string
	held    [][]byte // what the files held when they were last looked at
	changed chan struct{}
}

func (w *watch) run(ctx context.Context) {
	defer close(w.changed)
	defer w.watcher.Close()
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.watcher.Events:
			if !open {
				return
			}
			quiet = time.After(settle)
		case _, open := <-w.watcher.Errors: // events were lost: look
			if !open {
				return
			}
			quiet = time.After(settle)
		case <-quiet:
			quiet = nil
			if w.look() {
				select {
				case w.changed <- struct{}{}:
				default:
				}
			}
		}
	}
}

// look reads the files and tells whether they hold something else than last time. One
// that cannot be read holds nothing.
func (w *watch) look() bool {
	now, differs := make([][]byte, len(w.paths)), false
	for i, path := range w.paths {
		if text, err := os.ReadFile(path); err == nil {
			now[i] = text
		}
		differs = differs || w.held == nil || !bytes.Equal(now[i], w.held[i])
	}
	w.held = now
	return differs
}
