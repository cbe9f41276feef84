package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
)

// normalizeArgs rewrites the spellings of every generation of ngrok's agent into the
// one that the flag parser knows: "-bind-tls=true" becomes "--bind-tls=true",
// "-inspect false" becomes "--inspect=false", and flags in front of a command move
// behind it. Values of flags, and everything behind "--", stay as they are. What was
// pasted from a web page with typographic dashes or quotes is CodeFlagInvalid: a guess
// could open an endpoint that was to be guarded.
func normalizeArgs(root *cobra.Command, args []string) ([]string, error) {
	flags := map[string]flagKind{}
	collectFlags(root, flags)
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			out = append(out, args[i:]...)
			break
		}
		if err := refuseTypography(i+1, args[i]); err != nil {
			return nil, err
		}
		arg := normalizeArg(args[i])
		name, isLong := strings.CutPrefix(arg, "--")
		switch following := i+1 < len(args); {
		case !isLong || !following:
		case flags[name] == valued:
			i++
			out = append(out, arg)
			arg = args[i]
		case flags[name] == boolean && (args[i+1] == "true" || args[i+1] == "false"):
			i++
			arg += "=" + args[i]
		}
		out = append(out, arg)
	}
	return commandFirst(root, out, flags), nil
}

// normalizeArg gives a long flag its two dashes. One letter after one dash is a
// shorthand and stays.
func normalizeArg(arg string) string {
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

// hasOneDash tells whether there are long flags behind one dash, which only agents of
// the first generation took.
func hasOneDash(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return normalizeArg(arg) != arg })
}

func isFlagStart(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// commandFirst moves flags that stand in front of the command, with their values,
// behind it: "--config f http 80" is "http --config f 80".
func commandFirst(root *cobra.Command, args []string, flags map[string]flagKind) []string {
	first := 0
	for first < len(args) && strings.HasPrefix(args[first], "-") && args[first] != "--" && args[first] != "-" {
		if name := strings.TrimPrefix(args[first], "--"); flags[name] == valued {
			first++
		}
		first++
	}
	if first == 0 || first >= len(args) || childOf(root, args[first]) == nil {
		return args
	}
	last, command := first, root
	for last < len(args) {
		child := childOf(command, args[last])
		if child == nil {
			break
		}
		last, command = last+1, child
	}
	moved := append([]string{}, args[first:last]...)
	moved = append(moved, args[:first]...)
	return append(moved, args[last:]...)
}

// childOf finds a command's child by name or alias; nil for none.
func childOf(command *cobra.Command, name string) *cobra.Command {
	for _, child := range command.Commands() {
		if child.Name() == name || child.HasAlias(name) {
			return child
		}
	}
	return nil
}

// flagKind tells what follows a long flag.
type flagKind int

const (
	unknown flagKind = iota
	valued           // a value, in the same argument or the next
	boolean
)

// collectFlags notes the long flags of the whole tree. Flags of one name are of one
// kind everywhere.
func collectFlags(command *cobra.Command, flags map[string]flagKind) {
	note := func(flag *pflag.Flag) {
		flags[flag.Name] = valued
		if flag.NoOptDefVal != "" {
			flags[flag.Name] = boolean
		}
	}
	command.Flags().VisitAll(note)
	command.PersistentFlags().VisitAll(note)
	for _, child := range command.Commands() {
		collectFlags(child, flags)
	}
}

// lookAlikes are characters that word processors and web pages put in place of those
// that a command line needs.
var lookAlikes = map[rune]struct{ name, plain string }{
	'‐': {"hyphen", "-"}, '‑': {"non-breaking hyphen", "-"}, '‒': {"figure dash", "-"}, '–': {"en dash", "--"},
	'—': {"em dash", "--"}, '―': {"horizontal bar", "--"}, '−': {"minus sign", "-"}, '－': {"full-width hyphen", "-"},
	'“': {"left double quotation mark", `"`}, '”': {"right double quotation mark", `"`}, '„': {"low double quotation mark", `"`},
	'‘': {"left single quotation mark", "'"}, '’': {"right single quotation mark", "'"}, '\u00a0': {"no-break space", " "},
}

// refuseTypography refuses an argument that is, or is meant to be, a flag and begins
// with a dash that is none, or whose value begins with a quotation mark that is none.
func refuseTypography(position int, arg string) error {
	at, rest := 0, arg
	if dashes := strings.TrimLeft(arg, "-"); dashes != arg {
		at = len(arg) - len(dashes)
		if first, _ := utf8.DecodeRuneInString(dashes); lookAlikes[first].plain == "" || !strings.HasPrefix(lookAlikes[first].plain, "-") {
			_, value, _ := strings.Cut(dashes, "=")
			at, rest = len(arg)-len(value), value
			if value == "" {
				return nil
			}
		} else {
			rest = dashes
		}
	}
	found, _ := utf8.DecodeRuneInString(rest)
	like, isOne := lookAlikes[found]
	if !isOne {
		return nil
	}
	return postern.Errorf(postern.CodeFlagInvalid,
		"argument %d, %q, has %q (U+%04X, %s) as character %d; it was pasted from a text that is typeset. Write %s there",
		position, arg, found, found, like.name, utf8.RuneCountInString(arg[:at])+1, like.plain)
}
