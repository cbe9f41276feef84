package connector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern/internal/obs"
)

// Classic is a slog.Handler that writes lines as outsystemscc does:
//
//	2022/11/10 12:14:42 client: Connected (Latency 733.439µs)
//
// What is not about the connection itself is the message with its attributes. Control
// characters never get through.
type Classic struct {
	out   io.Writer
	level slog.Leveler
	attrs []slog.Attr
}

// NewClassic writes records from level up to w. A reader that does not keep up loses
// lines, the caller is never held up for long.
func NewClassic(w io.Writer, level slog.Leveler) *Classic {
	c := &Classic{level: level}
	c.out = obs.NewLineWriter(w, func(dropped uint64) {
		slog.New(c).Warn("log lines were dropped because the log's reader does not keep up", "count", dropped)
	})
	return c
}

// Enabled implements slog.Handler.
func (c *Classic) Enabled(_ context.Context, level slog.Level) bool { return level >= c.level.Level() }

// WithAttrs implements slog.Handler.
func (c *Classic) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *c
	with.attrs = slices.Concat(c.attrs, attrs)
	return &with
}

// WithGroup implements slog.Handler; groups are not shown.
func (c *Classic) WithGroup(string) slog.Handler { return c }

// Handle implements slog.Handler.
func (c *Classic) Handle(_ context.Context, r slog.Record) error {
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	var fields []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, a)
		return true
	})
	line := at.Format("2006/01/02 15:04:05") + " client: " + harmless(c.words(r.Message, fields)) + "\n"
	_, err := c.out.Write([]byte(line))
	return err
}

// words are what outsystemscc says where it says anything.
func (c *Classic) words(message string, fields []slog.Attr) string {
	text := func(key string) string {
		for _, field := range fields {
			if field.Key == key {
				return field.Value.Resolve().String()
			}
		}
		return ""
	}
	switch message {
	case msgConnecting:
		if proxy := text("proxy"); proxy != "" {
			return "Connecting to " + text("server") + " via " + proxy
		}
		return "Connecting to " + text("server")
	case msgConnected:
		return "Connected (Latency " + text("latency") + ")"
	case msgConnectionError:
		return "Connection error: " + text("err") + attempts(text("attempt"), text("most"))
	case msgRetrying:
		return "Retrying in " + text("in") + "..."
	case msgGiveUp:
		return "Give up"
	case msgDisconnected:
		return "Disconnected"
	case msgCancelled:
		return "Cancelled"
	}
	line := strings.Builder{}
	line.WriteString(message)
	for _, field := range slices.Concat(c.attrs, fields) {
		value := field.Value.Resolve().String()
		if value == "" || field.Key == "" || field.Key == "gateway" {
			continue
		}
		if strings.ContainsAny(value, " \t\n\"") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&line, " %s=%s", field.Key, value)
	}
	return line.String()
}

// attempts is how often it was tried, from the first retry on.
func attempts(attempt, most string) string {
	if attempt == "0" || attempt == "" {
		return ""
	}
	if strings.HasPrefix(most, "-") {
		most = "unlimited"
	}
	return " (Attempt: " + attempt + "/" + most + ")"
}

// harmless keeps what comes from elsewhere from being taken for another line, or for an
// order to the terminal.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

var _ slog.Handler = (*Classic)(nil)
