package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// normalizeArgs rewrites the spellings that people carry over from other tools
// into the one that the flag parser knows: "-bind-tls=true" and "–config" (an en
// dash, pasted from a web page) become "--bind-tls=true" and "--config". Values
// of flags, and everything behind "--", stay as they are.
func normalizeArgs(root *cobra.Command, args []string) []string {
	takesValue := map[string]bool{}
	collectFlags(root, takesValue)
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		arg := normalizeArg(args[i])
		out = append(out, arg)
		name, isLong := strings.CutPrefix(arg, "--")
		if isLong && takesValue[name] && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// normalizeArg gives a long flag its two dashes. One letter after one dash is a
// shorthand and stays.
func normalizeArg(arg string) string {
	for _, dash := range []string{"—", "–"} {
		if rest, found := strings.CutPrefix(arg, dash); found {
			return "--" + strings.TrimLeft(rest, "-–—")
		}
	}
	rest, found := strings.CutPrefix(arg, "-")
	if !found || strings.HasPrefix(rest, "-") {
		return arg
	}
	name, _, _ := strings.Cut(rest, "=")
	if len(name) < 2 || !isFlagStart(name[0]) {
		return arg
	}
	return "--" + rest
}

func isFlagStart(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// collectFlags notes which long flags of the whole tree are followed by a value.
func collectFlags(command *cobra.Command, takesValue map[string]bool) {
	note := func(flag *pflag.Flag) { takesValue[flag.Name] = flag.NoOptDefVal == "" }
	command.Flags().VisitAll(note)
	command.PersistentFlags().VisitAll(note)
	for _, child := range command.Commands() {
		collectFlags(child, takesValue)
	}
}
