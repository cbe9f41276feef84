package truststore

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"github.com/postern-dev/postern/internal/disk"
)

// anchors is the store of a Linux system: a folder of local authorities, and a program
// that makes of it what other programs read.
type anchors struct {
	machine Machine
	folder  string // "" where the system has none that we know
	update  Command
}

// anchors finds the folder; the more particular come first, for some systems have two.
func (m Machine) anchors() *anchors {
	for _, known := range []struct {
		folder string
		update Command
	}{
		{"/etc/pki/ca-trust/source/anchors", Command{Name: "update-ca-trust", Args: []string{"extract"}}},       // Red Hat
		{"/etc/ca-certificates/trust-source/anchors", Command{Name: "trust", Args: []string{"extract-compat"}}}, // Arch
		{"/etc/pki/trust/anchors", Command{Name: "update-ca-certificates"}},                                     // SUSE
		{"/usr/local/share/ca-certificates", Command{Name: "update-ca-certificates"}},                           // Debian, Alpine
	} {
		if folder := m.path(known.folder); m.isDir(folder) {
			return &anchors{machine: m, folder: folder, update: known.update}
		}
	}
	return &anchors{machine: m}
}

func (a *anchors) name() string {
	if a.folder == "" {
		return "the system"
	}
	return "the system (" + a.folder + ")"
}

func (a *anchors) file(c *x509.Certificate) string {
	return filepath.Join(a.folder, "postern-"+short(c)+".crt")
}

func (a *anchors) has(_ context.Context, c *x509.Certificate) (bool, error) {
	if a.folder == "" {
		return false, fmt.Errorf("this system keeps its authorities where none of Debian, Red Hat, Arch and SUSE do. Install the ca-certificates package, or add the certificate by hand")
	}
	text, err := os.ReadFile(a.file(c))
	if missing(err) {
		return false, nil
	}
	return err == nil && holds(text, c), err
}

func (a *anchors) add(ctx context.Context, c *x509.Certificate) error {
	if err := a.ready(c, false); err != nil {
		return err
	}
	if err := disk.Replace(a.file(c), encode(c), 0o644); err != nil {
		return err
	}
	if _, err := a.machine.Run(ctx, a.update); err != nil {
		return fmt.Errorf("the file %s is in place, but the system's bundle could not be made: %w", a.file(c), err)
	}
	return nil
}

func (a *anchors) remove(ctx context.Context, c *x509.Certificate) error {
	if err := a.ready(c, true); err != nil {
		return err
	}
	if err := os.Remove(a.file(c)); err != nil && !missing(err) {
		return err
	}
	if _, err := a.machine.Run(ctx, a.update); err != nil {
		return fmt.Errorf("the file %s is gone, but the system's bundle could not be made without it: %w", a.file(c), err)
	}
	return nil
}

// ready sees that both halves can be done before one is.
func (a *anchors) ready(c *x509.Certificate, remove bool) error {
	if _, err := a.machine.Look(a.update.Name); err != nil {
		return fmt.Errorf("%s is missing, which makes the system's bundle; install the package ca-certificates", a.update.Name)
	}
	if !a.machine.Superuser {
		return fmt.Errorf("only root may do that. Run the same command with sudo and --only system, or by hand: %s", joined(a.plan(c, remove)))
	}
	return nil
}

func (a *anchors) plan(c *x509.Certificate, remove bool) []string {
	change := Command{Name: "install", Args: []string{"-m", "644", "CA.pem", a.file(c)}}
	if remove {
		change = Command{Name: "rm", Args: []string{a.file(c)}}
	}
	commands := lines(change, a.update)
	if !a.machine.Superuser {
		for i := range commands {
			commands[i] = "sudo " + commands[i]
		}
	}
	return commands
}
