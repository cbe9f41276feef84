package truststore

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Command is a program to run.
type Command struct {
	Name  string
	Args  []string
	Stdin []byte
}

// String is the command as a POSIX shell takes it.
func (c Command) String() string {
	words := []string{quote(c.Name)}
	for _, argument := range c.Args {
		words = append(words, quote(argument))
	}
	return strings.Join(words, " ")
}

// quote makes one word of a shell, where it is none by itself.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Machine is what stores are on. The zero value is nothing; Local is this one. Methods may
// be called from one goroutine at a time.
type Machine struct {
	OS        string // as runtime.GOOS
	Root      string // where the file system's root is; "" is "/"
	Home      string // of the user whose browsers are meant; "" is nobody's
	Records   string // folder in which Trust notes what it has put somewhere; "" is none
	Superuser bool
	// As is the user whom Home belongs to where that is another than the one who runs this,
	// as under sudo: commands on Home are run as this user. "" is nobody else.
	As string
	// Look finds a program, as exec.LookPath.
	Look func(name string) (path string, err error)
	// Run runs one and returns what it writes to standard output; the error has what it
	// says on standard error.
	Run func(context.Context, Command) ([]byte, error)
	// Getenv is os.Getenv's contract.
	Getenv func(string) string
}

// Scope is which stores are meant.
type Scope string

// The scopes.
const (
	All      Scope = "all"
	System   Scope = "system"
	Browsers Scope = "browsers"
)

// store is one place where authorities are.
type store interface {
	// name is for people.
	name() string
	// has tells whether the certificate is there under our name.
	has(context.Context, *x509.Certificate) (bool, error)
	// add and remove change it.
	add(context.Context, *x509.Certificate) error
	remove(context.Context, *x509.Certificate) error
	// plan is what add or remove would run, for people.
	plan(c *x509.Certificate, remove bool) []string
}

// stores finds the machine's.
func (m Machine) stores(scope Scope) []store {
	var all []store
	if scope != Browsers {
		switch m.OS {
		case "darwin":
			all = append(all, &keychain{m})
		case "windows":
			all = append(all, &windowsStore{m})
		default:
			all = append(all, m.anchors())
		}
	}
	if scope != System {
		for _, folder := range m.databases() {
			all = append(all, &database{m, folder})
		}
	}
	return all
}

// path is one of the machine's.
func (m Machine) path(elements ...string) string {
	return filepath.Join(append([]string{m.Root}, elements...)...)
}

func (m Machine) isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// asUser has a command run for whom Home belongs to.
func (m Machine) asUser(c Command) Command {
	if m.As == "" {
		return c
	}
	return Command{Name: "sudo", Args: append([]string{"-u", m.As, "-H", "--", c.Name}, c.Args...), Stdin: c.Stdin}
}

// Execute runs a command of this machine; it is Local's Run.
func Execute(ctx context.Context, c Command) ([]byte, error) {
	command := exec.CommandContext(ctx, c.Name, c.Args...)
	command.Stdin = bytes.NewReader(c.Stdin)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		text := strings.TrimSpace(said.String())
		if text == "" {
			text = strings.TrimSpace(out.String())
		}
		if text != "" {
			return out.Bytes(), fmt.Errorf("%s: %s", filepath.Base(c.Name), clip(text))
		}
		return out.Bytes(), fmt.Errorf("%s: %w", filepath.Base(c.Name), err)
	}
	return out.Bytes(), err
}

// clip keeps the end of what a program says, where the reason is.
func clip(text string) string {
	const most = 400
	if len(text) <= most {
		return text
	}
	return "…" + strings.ToValidUTF8(text[len(text)-most:], "")
}

// missing tells whether an error is that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
