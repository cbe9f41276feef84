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

// openLog is a log that is open. The caller closes it when the command ends.
type openLog struct {
	*slog.Logger
	early    *slog.Logger // what is told of the configuration files
	toStdout bool         // stdout belongs to the log: nothing else may be printed there
	onScreen bool         // its lines appear on a terminal
	close    func()
}

// open makes the logger; file settings stand in for flags that were not given.
func (l *logging) open(streams ioStreams, file config.Config) (openLog, error) {
	log := openLog{Logger: slog.New(slog.DiscardHandler), close: func() {}}
	log.early = log.Logger
	level, err := console.ParseLevel(firstOf(l.level, file.LogLevel))
	if err != nil {
		return log, err
	}
	format, err := console.ParseFormat(firstOf(l.format, file.LogFormat))
	if err != nil {
		return log, err
	}
	var w io.Writer
	fallback := "false"
	if file.ConsoleUI == "false" {
		fallback = "stdout" // instead of the screen
	}
	switch target := firstOf(l.target, file.Log, fallback); target {
	case "false":
		return log, nil
	case "stdout", "true":
		w, log.toStdout = streams.Out, true
	case "stderr":
		w = streams.Err
	default:
		f, err := os.OpenFile(target, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return log, postern.Errorf(postern.CodeFlagInvalid, "the log %q cannot be opened: %v", target, err)
		}
		w, log.close = f, func() { _ = f.Close() } // a log has nobody to report to
	}
	log.onScreen = isTerminal(w)
	handler := console.NewHandler(w, format, level, log.onScreen)
	log.early, log.Logger = slog.New(handler), slog.New(handler)
	if firstGeneration(streams, file) {
		then := handler.FirstGeneration()
		if l.format == "" && file.LogFormat == "" {
			then = then.In(console.Logfmt) // those agents went on so once they had read their files
		}
		log.Logger = slog.New(then)
	}
	return log, nil
}

// firstGeneration tells whether the agent was called, or is configured, as only those
// of the first generation could be.
func firstGeneration(streams ioStreams, file config.Config) bool {
	return streams.OneDash || len(file.Files) > 0 && file.FirstGeneration()
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
