package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

// Setting is one key of the agent with its new value.
type Setting struct{ Key, Value string }

// Save writes settings into a file and leaves everything else in it as it is, comments
// included. The file and its directory are made where they are missing, for the user's
// eyes only, and one that is there is no longer for everybody's; the new text takes the old one's place at once, so that nobody ever reads
// half. Errors are CodeConfigInvalid (the file that is there cannot be read as YAML)
// and CodeFileUnreadable.
func Save(path string, settings ...Setting) error {
	text, err := ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return postern.Errorf(postern.CodeFileUnreadable, "Error reading configuration file '%s': %v", path, err).Because(err)
	}
	edited := string(text)
	for _, s := range settings {
		if edited, err = set(path, edited, s); err != nil {
			return err
		}
		if !says(edited, s) {
			return postern.Errorf(postern.CodeConfigInvalid, "%s: %s is written in a way that cannot be edited; edit the file by hand", path, s.Key)
		}
	}
	return written(path, disk.Update(path, []byte(edited), 0o007)) // it holds a secret now, as a rule
}

// WriteFile replaces a file at once. A file that is there keeps its mode and its owner,
// and a symbolic link stays one. Errors are CodeFileUnreadable.
func WriteFile(path string, text []byte) error { return written(path, disk.Update(path, text, 0)) }

func written(path string, err error) error {
	if err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "the configuration file '%s' cannot be written: %v", path, err).Because(err)
	}
	return nil
}

// set edits one key in a file's text.
func set(name, text string, s Setting) (string, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	r := &reader{name: name}
	file, err := r.syntax(text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	var body ast.Node
	if len(file.Docs) > 0 {
		body = file.Docs[0].Body
	}
	root, err := r.entries("", body)
	if err != nil {
		return "", err
	}
	value := quote(s.Value)
	if version(root) != "3" {
		if e, found := lookup(root, s.Key); found {
			return replaceValue(r, text, e, value)
		}
		return appendLines(text, versionLine(root)+s.Key+": "+value), nil
	}
	agent, found := lookup(root, "agent")
	if !found {
		return appendLines(text, "agent:\n  "+s.Key+": "+value), nil
	}
	keys, err := r.entries("agent", agent.value)
	if err != nil {
		return "", err
	}
	if e, found := lookup(keys, s.Key); found {
		return replaceValue(r, text, e, value)
	}
	return insertBelow(r, text, agent, keys, s.Key+": "+value)
}

// says tells whether a text has a setting: the last check before a file is replaced.
func says(text string, s Setting) bool {
	r := &reader{}
	file, err := r.syntax(text, 0)
	if err != nil || len(file.Docs) == 0 {
		return false
	}
	keys, err := r.entries("", file.Docs[0].Body)
	if agent, found := lookup(keys, "agent"); err == nil && found && version(keys) == "3" {
		keys, err = r.entries("agent", agent.value)
	}
	e, found := lookup(keys, s.Key)
	value, single := "", false
	if found {
		value, single = scalar(e.value)
	}
	return err == nil && single && value == s.Value
}

func version(root []entry) string {
	if e, found := lookup(root, "version"); found {
		text, _ := scalar(e.value)
		return text
	}
	return ""
}

// versionLine is what a file without any content begins with, so that ngrok's own
// agents read it as well.
func versionLine(root []entry) string {
	if len(root) == 0 {
		return "version: \"3\"\nagent:\n  "
	}
	return ""
}

func lookup(entries []entry, key string) (entry, bool) {
	for _, e := range entries {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// replaceValue puts another value behind a key, on the key's own line.
func replaceValue(r *reader, text string, e entry, value string) (string, error) {
	lines := strings.Split(text, "\n")
	at := e.node.GetToken().Position
	line := lines[at.Line-1]
	start := min(at.Column-1, len(line))
	colon := strings.IndexByte(line[start:], ':')
	old, single := scalar(e.value)
	_, block := e.value.(*ast.LiteralNode)
	if colon < 0 || !single || block || strings.Contains(old, "\n") || e.value != nil && e.value.GetToken().Position.Line != at.Line && old != "" {
		return "", r.at(e.node, "%s is written in a way that cannot be edited; write \"%s: VALUE\" on a line of its own", e.path, e.key)
	}
	before := line[:start+colon+1]
	lines[at.Line-1] = before + " " + value + comment(line[start+colon+1:])
	return strings.Join(lines, "\n"), nil
}

// comment is the comment at the end of what stands behind a key, if there is one, and
// what closes a mapping in braces.
func comment(rest string) string {
	trimmed := strings.TrimLeft(rest, " ")
	if trimmed != "" && (trimmed[0] == '"' || trimmed[0] == '\'') {
		if end := strings.IndexByte(trimmed[1:], trimmed[0]); end >= 0 {
			return trimmed[end+2:]
		}
	}
	if i := strings.Index(rest, " #"); i >= 0 {
		return rest[i:]
	}
	if strings.HasSuffix(rest, "\r") {
		return "\r"
	}
	return ""
}

// insertBelow adds a line to the section e, as far in as its other keys.
func insertBelow(r *reader, text string, e entry, keys []entry, line string) (string, error) {
	indent := "  "
	if len(keys) > 0 {
		if keys[0].node.GetToken().Position.Line == e.node.GetToken().Position.Line {
			return "", r.at(e.node, "%s is written in braces; write its keys on lines of their own", e.path)
		}
		indent = strings.Repeat(" ", keys[0].node.GetToken().Position.Column-1)
	}
	lines := strings.Split(text, "\n")
	at := e.node.GetToken().Position.Line
	lines = append(lines[:at], append([]string{indent + line}, lines[at:]...)...)
	return strings.Join(lines, "\n"), nil
}

func appendLines(text, lines string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + lines + "\n"
}

// quote writes a value so that YAML reads a string.
func quote(value string) string {
	plain := value != "" && strings.IndexFunc(value, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_-./", c))
	}) < 0
	_, number := strconv.ParseFloat(value, 64)
	switch strings.ToLower(value) {
	case "true", "false", "null", "yes", "no", "on", "off":
		plain = false
	}
	if plain && number != nil && value[0] != '-' && value[0] != '.' {
		return value
	}
	return fmt.Sprintf("%q", value)
}
