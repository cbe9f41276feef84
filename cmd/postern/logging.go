package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
)

// logging is where an agent's log goes and how it looks.
type logging struct {
	target string
	format string
	level  string
}

func (l *logging) register(flags *pflag.FlagSet) {
	flags.StringVar(&l.target, "log", "", "`place` of the log: stdout, stderr, false or a file (default false)")
	flags.StringVar(&l.format, "log-format", "", "term, logfmt or json (default term)")
	flags.StringVar(&l.level, "log-level", "", "debug, info, warn, error or crit (default info)")
}

// open makes the logger; file settings stand in for flags that were not given. The
// caller closes the log when the command ends. toStdout tells that stdout belongs
// to the log, so that nothing else may be printed there.
func (l *logging) open(streams ioStreams, file config.Config) (log *slog.Logger, toStdout bool, closeLog func(), err error) {
	level, err := console.ParseLevel(firstOf(l.level, file.LogLevel))
	if err != nil {
		return nil, false, nil, err
	}
	format, err := console.ParseFormat(firstOf(l.format, file.LogFormat))
	if err != nil {
		return nil, false, nil, err
	}
	closeLog = func() {}
	var w io.Writer
	fallback := "false"
	if file.ConsoleUI == "false" {
		fallback = "stdout" // instead of the screen
	}
	switch target := firstOf(l.target, file.Log, fallback); target {
	case "false":
		return slog.New(slog.DiscardHandler), false, closeLog, nil
	case "stdout", "true":
		w, toStdout = streams.Out, true
	case "stderr":
		w = streams.Err
	default:
		f, err := os.OpenFile(target, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, false, nil, postern.Errorf(postern.CodeFlagInvalid, "the log %q cannot be opened: %v", target, err)
		}
		w, closeLog = f, func() { _ = f.Close() } // a log has nobody to report to
	}
	return slog.New(console.NewHandler(w, format, level, isTerminal(w))), toStdout, closeLog, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// adoptStandardLog makes lines of l of what packages without a logger of their own
// print: net/http's client quotes the bytes of a service that does not keep to HTTP,
// which any service can have it do at any time.
func adoptStandardLog(l *slog.Logger) {
	slog.SetLogLoggerLevel(slog.LevelDebug)
	slog.SetDefault(l) // which the standard library's log then writes to; nothing of ours does
}
