package console

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// Failures is a slog.Handler that keeps the latest record from warnings up, for a
// Screen, and hands everything on. Make one with NewFailures.
type Failures struct {
	next   slog.Handler
	latest *atomic.Pointer[Failure]
	attrs  []slog.Attr // of With, outside of groups
}

// NewFailures hands records on to next.
func NewFailures(next slog.Handler) *Failures {
	return &Failures{next: next, latest: &atomic.Pointer[Failure]{}}
}

// Latest is the failure that came last; nil: none has.
func (f *Failures) Latest() *Failure { return f.latest.Load() }

// Enabled tells whether anybody wants records of the level.
func (f *Failures) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || f.next.Enabled(ctx, level)
}

// Handle notes and hands on.
func (f *Failures) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		f.latest.Store(failureOf(r, f.attrs))
	}
	if !f.next.Enabled(ctx, r.Level) {
		return nil
	}
	return f.next.Handle(ctx, r)
}

// failureOf is a record in one line: whose, what, why.
func failureOf(r slog.Record, with []slog.Attr) *Failure {
	var name, why string
	note := func(a slog.Attr) bool {
		switch a.Key {
		case "name":
			name = a.Value.String() + ": "
		case "err", "warning":
			why = ": " + a.Value.String()
		}
		return true
	}
	for _, a := range with {
		note(a)
	}
	r.Attrs(note)
	text := name + r.Message + why
	code := codeIn(why)
	if code == "" && r.Message == "failed to open private leg" {
		code = postern.CodeUpstreamUnreachable
	}
	return &Failure{At: r.Time, Text: text, Code: code}
}

// codeIn finds a code in a text; "" for none that the catalogue may hold.
func codeIn(text string) postern.Code {
	for _, family := range []string{"ERR_NGROK_", "ERR_POSTERN_"} {
		if _, rest, found := strings.Cut(text, family); found {
			digits := strings.TrimLeft(rest, "0123456789")
			return postern.Code(family + rest[:len(rest)-len(digits)])
		}
	}
	return ""
}

// WithAttrs is slog's.
func (f *Failures) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *f
	with.next = f.next.WithAttrs(attrs)
	with.attrs = append(f.attrs[:len(f.attrs):len(f.attrs)], attrs...)
	return &with
}

// WithGroup is slog's.
func (f *Failures) WithGroup(name string) slog.Handler {
	with := *f
	with.next = f.next.WithGroup(name)
	return &with
}

// Interface guard.
var _ slog.Handler = (*Failures)(nil)
