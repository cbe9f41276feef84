// Package obs is how Postern tells what it does: one slog handler that adds the
// attributes of the request at hand and never makes the data path wait, and the
// ids that join a log line, an error page and a trace.
package obs

import (
	"context"
	"io"
	"log/slog"
)

// The formats of NewHandler.
const (
	JSON    = "json"    // one object a line
	Logfmt  = "logfmt"  // key=value
	Console = "console" // time, level and message first, for people
)

// Handler is a slog.Handler. Make one with NewHandler.
type Handler struct {
	inner slog.Handler
	lines *lineWriter
}

// NewHandler writes records from level up to w in the format, Console where it is
// none of the three. Attributes put into the context by With are added to each
// record. Control bytes in attributes are escaped, so that nobody outside can forge
// a line or drive a terminal.
//
// A line is normally written before the call returns. When w blocks, a caller
// waits at most 100 ms; further lines queue up to 1 MiB, then lines are dropped and
// counted, and the count is logged once w takes lines again.
func NewHandler(w io.Writer, format string, level slog.Leveler) *Handler {
	lines := newLineWriter(w)
	options := &slog.HandlerOptions{Level: level}
	var inner slog.Handler
	switch format {
	case JSON:
		inner = slog.NewJSONHandler(lines, options)
	case Logfmt:
		inner = slog.NewTextHandler(lines, options)
	default:
		inner = newConsole(lines, level)
	}
	lines.note = func(dropped uint64) {
		slog.New(inner).Warn("log lines were dropped because the log's reader does not keep up", "count", dropped)
	}
	return &Handler{inner: inner, lines: lines}
}

// Dropped counts the lines that were lost so far.
func (h *Handler) Dropped() uint64 { return h.lines.dropped() }

// Enabled tells whether records of the level are written.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle writes a record with the context's attributes.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if attrs := attrsOf(ctx); len(attrs) > 0 {
		r = r.Clone() // the record's spare room may be shared
		r.AddAttrs(attrs...)
	}
	return h.inner.Handle(ctx, r)
}

// WithAttrs is slog's.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{inner: h.inner.WithAttrs(attrs), lines: h.lines}
}

// WithGroup is slog's. The context's attributes go into the group as well.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{inner: h.inner.WithGroup(name), lines: h.lines}
}

// Interface guard.
var _ slog.Handler = (*Handler)(nil)
