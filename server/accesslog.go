package server

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
)

// accessLog is where access lines go. The place may change while lines are
// written, and a file is opened anew when it does or when a rotation asks for it.
type accessLog struct {
	stdout, stderr io.Writer

	mu   sync.Mutex
	file *os.File // nil for the standard streams
	out  io.Writer
}

// Write takes one line.
func (a *accessLog) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out.Write(line)
}

// open directs lines to a place and gives the logger for it; nil for "off". What is
// open stays in use when the new place cannot be had.
func (a *accessLog) open(place string) (*slog.Logger, error) {
	var file *os.File
	out := io.Discard
	switch place {
	case "off":
	case "stdout":
		out = a.stdout
	case "stderr":
		out = a.stderr
	default:
		opened, err := os.OpenFile(place, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "access_log: %s cannot be written: %v", place, reason(err)).Because(err)
		}
		file, out = opened, opened
	}
	a.mu.Lock()
	former := a.file
	a.file, a.out = file, out
	a.mu.Unlock()
	if former != nil {
		_ = former.Close() // its lines are written; there is nobody to tell
	}
	if place == "off" {
		return nil, nil
	}
	return slog.New(obs.NewHandler(a, obs.JSON, slog.LevelInfo)), nil
}

func (a *accessLog) close() error {
	_, err := a.open("off")
	return errors.Join(err)
}
