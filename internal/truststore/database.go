package truststore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// database is one of NSS, as browsers keep it.
type database struct {
	machine Machine
	folder  string
}

// databases finds those of Home: each folder has a cert9.db, but for Chromium's, which is
// made where the browser is installed and has not been started yet.
func (m Machine) databases() []string {
	if m.Home == "" || m.OS == "windows" { // Firefox reads the system's store there
		return nil
	}
	share := ""
	if m.Getenv != nil {
		share = m.Getenv("XDG_DATA_HOME")
	}
	if share == "" {
		share = filepath.Join(m.Home, ".local", "share")
	}
	var found []string
	for _, pattern := range []string{
		filepath.Join(m.Home, ".pki", "nssdb"),
		filepath.Join(share, "pki", "nssdb"),
		filepath.Join(m.Home, "snap", "chromium", "current", ".pki", "nssdb"),
		filepath.Join(m.Home, ".mozilla", "firefox", "*"),
		filepath.Join(m.Home, ".config", "mozilla", "firefox", "*"),
		filepath.Join(m.Home, "snap", "firefox", "common", ".mozilla", "firefox", "*"),
		filepath.Join(m.Home, ".var", "app", "org.mozilla.firefox", ".mozilla", "firefox", "*"),
		filepath.Join(m.Home, "Library", "Application Support", "Firefox", "Profiles", "*"),
	} {
		folders, err := filepath.Glob(pattern)
		if err != nil { // a home whose name has brackets
			continue
		}
		for _, folder := range folders {
			if _, err := os.Stat(filepath.Join(folder, "cert9.db")); err == nil && !slices.Contains(found, folder) {
				found = append(found, folder)
			}
		}
	}
	usual := filepath.Join(m.Home, ".pki", "nssdb")
	if m.OS == "linux" && !slices.ContainsFunc(found, func(folder string) bool { return filepath.Base(folder) == "nssdb" }) && m.hasChromium() {
		found = append([]string{usual}, found...)
	}
	return found
}

func (m Machine) hasChromium() bool {
	return slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser"}, func(name string) bool {
		_, err := m.Look(name)
		return err == nil
	})
}

func (d *database) name() string {
	if filepath.Base(d.folder) == "nssdb" {
		return "Chromium and Chrome (" + d.folder + ")"
	}
	return "Firefox (" + d.folder + ")"
}

// exists tells of a database that is not made yet.
func (d *database) exists() bool {
	_, err := os.Stat(filepath.Join(d.folder, "cert9.db"))
	return err == nil
}

func (d *database) certutil(action string, args ...string) Command {
	return d.machine.asUser(Command{Name: "certutil", Args: append([]string{action, "-d", "sql:" + d.folder}, args...)})
}

func (d *database) has(ctx context.Context, c *x509.Certificate) (bool, error) {
	if _, err := d.machine.Look("certutil"); err != nil {
		return false, errors.New("certutil is missing, which changes a browser's store; install it (Debian: libnss3-tools, Red Hat: nss-tools, Arch and Homebrew: nss) and repeat the command")
	}
	if !d.exists() {
		return false, nil
	}
	out, err := d.machine.Run(ctx, d.certutil("-L", "-n", Nickname(c), "-a"))
	if err == nil {
		return holds(out, c), nil
	}
	// It fails alike for a name that is not there and for a database that cannot be read.
	_, unreadable := d.machine.Run(ctx, d.certutil("-L"))
	return false, unreadable
}

func (d *database) add(ctx context.Context, c *x509.Certificate) error {
	for _, command := range d.adding(c) {
		if command.Name == "mkdir" {
			if err := os.MkdirAll(d.folder, 0o700); err != nil {
				return err
			}
			continue
		}
		if _, err := d.machine.Run(ctx, command); err != nil {
			return err
		}
	}
	there, err := d.has(ctx, c)
	if err == nil && !there { // NSS keeps the name that a certificate has already
		err = fmt.Errorf("the certificate is in the store under another name, which somebody else gave it; it was left there")
	}
	return err
}

// adding is what add runs. The certificate is an authority for servers, and for nothing
// else.
func (d *database) adding(c *x509.Certificate) []Command {
	add := d.certutil("-A", "-t", "C,,", "-n", Nickname(c), "-a")
	add.Stdin = encode(c)
	if d.exists() {
		return []Command{add}
	}
	return []Command{d.machine.asUser(Command{Name: "mkdir", Args: []string{"-p", d.folder}}), d.certutil("-N", "--empty-password"), add}
}

func (d *database) remove(ctx context.Context, c *x509.Certificate) error {
	_, err := d.machine.Run(ctx, d.certutil("-D", "-n", Nickname(c)))
	return err
}

func (d *database) plan(c *x509.Certificate, remove bool) []string {
	if remove {
		return lines(d.certutil("-D", "-n", Nickname(c)))
	}
	commands := lines(d.adding(c)...)
	commands[len(commands)-1] += " < CA.pem"
	return commands
}
