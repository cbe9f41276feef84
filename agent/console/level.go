package console

import (
	"log/slog"

	"github.com/postern-dev/postern"
)

// LevelCrit is above slog.LevelError: the agent cannot go on.
const LevelCrit = slog.Level(12)

// ParseLevel reads debug, info, warn, error and crit.
func ParseLevel(text string) (slog.Level, error) {
	switch text {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "crit":
		return LevelCrit, nil
	}
	return 0, postern.Errorf(postern.CodeFlagInvalid, "the log level %q is not one of debug, info, warn, error, crit", text)
}

// levelWord is a level as logfmt and JSON lines show it: four letters, because
// scripts look for them.
func levelWord(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "dbug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	case level < LevelCrit:
		return "eror"
	}
	return "crit"
}

// Format is how lines look.
type Format string

// The formats.
const (
	Term   Format = "term" // for people; logfmt where the log is not a terminal
	Logfmt Format = "logfmt"
	JSON   Format = "json"
)

// ParseFormat reads a format's name.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Term, Logfmt, JSON:
		return f, nil
	case "":
		return Term, nil
	}
	return "", postern.Errorf(postern.CodeFlagInvalid, "the log format %q is not one of term, logfmt, json", text)
}
