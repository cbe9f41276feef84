package obs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// console writes "15:04:05 INFO  message key=value". Attributes are formatted by
// slog's own text handler, which quotes whatever could be mistaken for structure.
type console struct {
	level slog.Leveler
	out   *consoleOut
	attrs slog.Handler // writes attributes only, into out.line
}

type consoleOut struct {
	mu   sync.Mutex // guards line and orders lines
	line bytes.Buffer
	w    io.Writer
}

func newConsole(w io.Writer, level slog.Leveler) *console {
	out := &consoleOut{w: w}
	attrs := slog.NewTextHandler(&out.line, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			builtin := a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey
			if len(groups) == 0 && builtin {
				return slog.Attr{}
			}
			return a
		},
	})
	return &console{level: level, out: out, attrs: attrs}
}

func (c *console) Enabled(_ context.Context, level slog.Level) bool {
	return level >= c.level.Level()
}

func (c *console) Handle(ctx context.Context, r slog.Record) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	line := &c.out.line
	line.Reset()
	if !r.Time.IsZero() {
		line.WriteString(r.Time.Format("15:04:05 "))
	}
	level := r.Level.String()
	line.WriteString(level)
	line.WriteString(strings.Repeat(" ", max(1, 6-len(level))))
	line.WriteString(plain(r.Message))
	line.WriteByte(' ')
	if err := c.attrs.Handle(ctx, r); err != nil {
		return err
	}
	text := append(bytes.TrimRight(line.Bytes(), " \n"), '\n')
	_, err := c.out.w.Write(text)
	return err
}

func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &console{level: c.level, out: c.out, attrs: c.attrs.WithAttrs(attrs)}
}

func (c *console) WithGroup(name string) slog.Handler {
	return &console{level: c.level, out: c.out, attrs: c.attrs.WithGroup(name)}
}

// plain quotes a message that holds anything unprintable. Messages are our own
// constants, so this is a second lock on the door.
func plain(message string) string {
	for _, r := range message {
		if !strconv.IsPrint(r) {
			return strconv.Quote(message)
		}
	}
	return message
}
