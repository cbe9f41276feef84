package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/server"
)

// Wish is what a key of the configuration is to be. Value is as a flag would take it: of a
// list the items are between commas.
type Wish struct{ Key, Value string }

// File is the configuration file, as it is and as it will be.
type File struct {
	Path   string
	New    bool // there is none yet
	Before []byte
	After  []byte
	Config server.Config // that of After
}

// PlanFile works out what the file at path must say so that every wish is fulfilled. What
// else a file says, comments included, stays. Nothing is written. Errors are
// CodeConfigInvalid (a wish, or the file that is there, is not valid, or it is written in a
// way that cannot be edited line by line; the message says what to write by hand) and
// CodeFileUnreadable.
func PlanFile(path string, wishes []Wish) (File, error) {
	fresh := []byte(compose(wishes))
	wanted, err := server.Parse("the answers", fresh)
	if err != nil {
		return File{}, err
	}
	wanted.Path = path
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return File{Path: path, New: true, After: fresh, Config: wanted}, nil
	case err != nil:
		return File{}, postern.Errorf(postern.CodeFileUnreadable, "%s cannot be read: %v", path, err).Because(err)
	}
	current, err := server.Parse(path, before)
	if err != nil {
		return File{}, err
	}
	text := string(before)
	var missed []string
	for _, wish := range wishes {
		setting := settingOf(wish.Key)
		if setting.Value(current) == setting.Value(wanted) {
			continue
		}
		text = edit(text, wish.Key, render(setting, wish.Value))
		missed = append(missed, wish.Key+": "+render(setting, wish.Value))
	}
	after, err := server.Parse(path, []byte(text))
	if err != nil || !agree(after, current, wanted, wishes) {
		return File{}, postern.Errorf(postern.CodeConfigInvalid, "%s is written in a way that this program does not edit; set by hand:\n%s", path, strings.Join(missed, "\n"))
	}
	after.Path = path
	return File{Path: path, Before: before, After: []byte(text), Config: after}, nil
}

// agree tells whether an edited file says what is wished for, and what it said before of
// everything else.
func agree(after, before, wanted server.Config, wishes []Wish) bool {
	wished := make(map[string]bool, len(wishes))
	for _, wish := range wishes {
		wished[wish.Key] = true
	}
	for _, setting := range server.Settings() {
		like := before
		if wished[setting.Key] {
			like = wanted
		}
		if setting.Value(after) != setting.Value(like) {
			return false
		}
	}
	return true
}

func settingOf(key string) server.Setting {
	for _, setting := range server.Settings() {
		if setting.Key == key {
			return setting
		}
	}
	return server.Setting{Key: key}
}

// Available tells whether this version has a setting.
func Available(key string) bool {
	setting := settingOf(key)
	return setting.About != "" && !setting.Unavailable()
}

// Changed tells whether the file will be another.
func (f File) Changed() bool { return f.New || !bytes.Equal(f.Before, f.After) }

// Diff shows what will change, line by line.
func (f File) Diff() string { return Diff(f.Path, string(f.Before), string(f.After)) }

// Write puts the file in its place, whole or not at all. A new one is for its owner and
// group: it may come to hold a database's password. Errors are CodeFileUnreadable.
func (f File) Write() error {
	if !f.Changed() {
		return nil
	}
	var err error
	if f.New {
		err = errors.Join(os.MkdirAll(filepath.Dir(f.Path), 0o755), disk.Replace(f.Path, f.After, 0o640))
	} else {
		err = disk.Update(f.Path, f.After, 0)
	}
	if err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "%s cannot be written: %v", f.Path, err).Because(err)
	}
	return nil
}

// compose is a file of wishes alone.
func compose(wishes []Wish) string {
	text := "# What this server is. Every key: docs/server-config.md; \"postern server check\" reads it.\n"
	for _, wish := range wishes {
		text = edit(text, wish.Key, render(settingOf(wish.Key), wish.Value))
	}
	return text
}

// plainWord is what YAML takes for text, or a number, without quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9/._@+-]*$`)

// render is a value in YAML.
func render(setting server.Setting, value string) string {
	if !setting.Several() {
		return quoted(value)
	}
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, quoted(item))
		}
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func quoted(value string) string {
	if plainWord.MatchString(value) {
		return value
	}
	return strconv.Quote(value)
}

// edit sets a key, which may be in a section ("tls.mode"), in a file written in blocks.
// Whether it has understood the file, the caller finds out by reading the result.
func edit(text, key, value string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	section, name, nested := strings.Cut(key, ".")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !nested {
		if at := find(lines, 0, len(lines), "", key); at >= 0 {
			lines[at] = key + ": " + value + remark(lines[at])
			return strings.Join(lines, "\n") + "\n"
		}
		return text + key + ": " + value + "\n"
	}
	at := find(lines, 0, len(lines), "", section)
	if at < 0 {
		return text + section + ":\n  " + name + ": " + value + "\n"
	}
	end, indent := sectionEnd(lines, at)
	if found := find(lines, at+1, end, indent, name); found >= 0 {
		lines[found] = indent + name + ": " + value + remark(lines[found])
	} else {
		lines = slices.Insert(lines, end, indent+name+": "+value)
	}
	return strings.Join(lines, "\n") + "\n"
}

// sectionEnd is the line behind the last of a section that begins at a line, and how far
// its keys are indented.
func sectionEnd(lines []string, at int) (end int, indent string) {
	end = at + 1
	for i := at + 1; i < len(lines); i++ {
		trimmed := strings.TrimLeft(lines[i], " ")
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if trimmed == lines[i] && !strings.HasPrefix(trimmed, "- ") {
			break
		}
		if end == at+1 {
			indent = lines[i][:len(lines[i])-len(trimmed)]
		}
		end = i + 1
	}
	if indent == "" {
		indent = "  "
	}
	return end, indent
}

// find is the line from first to last that begins a key, -1 for none.
func find(lines []string, first, last int, indent, key string) int {
	for i := first; i < last; i++ {
		if rest, is := strings.CutPrefix(lines[i], indent+key+":"); is && (rest == "" || rest[0] == ' ') {
			return i
		}
	}
	return -1
}

// remark is the comment at the end of a line, with the blank in front of it.
func remark(line string) string {
	if at := strings.Index(line, " #"); at >= 0 {
		return line[at:]
	}
	return ""
}

// Say describes the file's change in a line.
func (f File) Say() string {
	switch {
	case f.New:
		return fmt.Sprintf("%s will be written", f.Path)
	case f.Changed():
		return fmt.Sprintf("%s will be changed", f.Path)
	}
	return fmt.Sprintf("%s is as it should be", f.Path)
}
