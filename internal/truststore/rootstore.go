package truststore

import (
	"context"
	"crypto/sha1" // Windows names certificates by it; nothing is trusted for it
	"crypto/x509"
	"encoding/hex"
	"path/filepath"
	"strings"
)

// windowsStore is the user's root store, where the system and all browsers look. Windows
// asks in a window of its own.
type windowsStore struct{ machine Machine }

func (w *windowsStore) name() string { return "the user's root store" }

// thumbprint is how Windows names a certificate.
func (w *windowsStore) thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

// certutil is Windows's own: NSS has a program of that name, too.
func (w *windowsStore) certutil(args ...string) Command {
	name := "certutil.exe"
	if w.machine.Getenv != nil {
		if root := w.machine.Getenv("SystemRoot"); root != "" {
			name = filepath.Join(root, "System32", "certutil.exe")
		}
	}
	return Command{Name: name, Args: append([]string{"-user"}, args...)}
}

// has asks by thumbprint: certutil fails for one that is not there, and shows it (in
// groups of two digits, before Windows 10) otherwise.
func (w *windowsStore) has(ctx context.Context, c *x509.Certificate) (bool, error) {
	out, err := w.machine.Run(ctx, w.certutil("-store", "Root", w.thumbprint(c)))
	if err != nil {
		_, unreadable := w.machine.Run(ctx, w.certutil("-store", "Root"))
		return false, unreadable
	}
	return strings.Contains(strings.ToLower(strings.ReplaceAll(string(out), " ", "")), w.thumbprint(c)), nil
}

func (w *windowsStore) adding(path string) Command { return w.certutil("-addstore", "Root", path) }

func (w *windowsStore) removing(c *x509.Certificate) Command {
	return w.certutil("-delstore", "Root", w.thumbprint(c))
}

func (w *windowsStore) add(ctx context.Context, c *x509.Certificate) error {
	return withFile(c, func(path string) error {
		_, err := w.machine.Run(ctx, w.adding(path))
		return err
	})
}

func (w *windowsStore) remove(ctx context.Context, c *x509.Certificate) error {
	_, err := w.machine.Run(ctx, w.removing(c))
	return err
}

func (w *windowsStore) plan(c *x509.Certificate, remove bool) []string {
	if remove {
		return lines(w.removing(c))
	}
	return lines(w.adding("CA.pem"))
}
