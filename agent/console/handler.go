package console

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/postern-dev/postern/internal/obs"
)

// Handler is a slog.Handler whose lines look like those of ngrok's agent:
//
//	t=2026-01-02T15:04:05+0000 lvl=info msg="started tunnel" obj=tunnels name=web …
//	{"lvl":"info","msg":"started tunnel","name":"web","obj":"tunnels","t":"2026-…",…}
//	INFO[01-02|15:04:05] started tunnel                           obj=tunnels name=web …
//
// Attributes keep their order in the first and the last and are sorted in JSON:
// programs cut fields out by their number. Control bytes never get through.
type Handler struct {
	format Format
	level  slog.Leveler
	colour bool
	out    io.Writer
	attrs  []field // of With
	group  string  // prefix of keys, "" or "group."
	first  bool    // lines of the first generation
}

// field is an attribute with its group in front of the key.
type field struct {
	key   string
	value slog.Value
}

// NewHandler writes records from level up to w, which is a terminal where terminal
// says so. A reader that does not keep up loses lines, which are counted; the
// caller is never held up for long.
func NewHandler(w io.Writer, format Format, level slog.Leveler, terminal bool) *Handler {
	h := &Handler{format: format, level: level, colour: terminal}
	if format == Term && !terminal {
		h.format = Logfmt
	}
	h.out = obs.NewLineWriter(w, h.noteDropped)
	return h
}

func (h *Handler) noteDropped(lines uint64) {
	slog.New(h).Warn("log lines were dropped because the log's reader does not keep up", "count", lines)
}

// Enabled tells whether records of the level are written.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle writes one line.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	fields := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fields = appendField(fields, h.group, a)
		return true
	})
	if h.first {
		r, fields = inFirstGeneration(r, fields)
	}
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	var line []byte
	switch h.format {
	case JSON:
		line = jsonLine(at, r.Level, r.Message, fields)
	case Term:
		line = termLine(at, r.Level, r.Message, fields, h.colour)
	default:
		line = logfmtLine(at, r.Level, r.Message, fields)
	}
	_, err := h.out.Write(append(line, '\n'))
	return err
}

// WithAttrs is slog's.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = appendField(with.attrs, h.group, a)
	}
	return &with
}

// WithGroup is slog's; the group becomes a prefix of keys.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group += name + "."
	return &with
}

// appendField adds an attribute, groups opened out and values resolved.
func appendField(fields []field, group string, a slog.Attr) []field {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		if a.Key == "" {
			return fields
		}
		return append(fields, field{group + a.Key, value})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, member := range value.Group() {
		fields = appendField(fields, group, member)
	}
	return fields
}

// Interface guard.
var _ slog.Handler = (*Handler)(nil)
