package server

import (
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
)

func hostDir(t *testing.T) *dataDir {
	t.Helper()
	dir, err := openDataDir(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.close() })
	return dir
}

func openHost(t *testing.T, dir *dataDir, certificates ...string) *sshHost {
	t.Helper()
	host, err := openSSHHost(dir, certificates, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// The keys are made once, for the server's user alone, and stay.
func TestSSHHostKeysStay(t *testing.T) {
	dir := hostDir(t)
	first := openHost(t, dir).fingerprints()
	if again := openHost(t, dir).fingerprints(); len(first) != 2 || first[0] != again[0] || first[1] != again[1] {
		t.Errorf("the keys were %q and are %q", first, again)
	}
	for _, name := range []string{sshEd25519Name, sshECDSAName} {
		info, err := os.Stat(dir.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
	if err := os.WriteFile(dir.file(sshEd25519Name), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSSHHost(dir, nil, slog.New(slog.DiscardHandler)); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), sshEd25519Name) {
		t.Errorf("a damaged key: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(dir.file(sshECDSAName), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir.file(sshEd25519Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := openSSHHost(dir, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

// certify writes a certificate for a key.
func certify(t *testing.T, path string, kind uint32, key ssh.PublicKey, from, until time.Time) {
	t.Helper()
	authority, err := ssh.ParsePrivateKey(mustRead(t, filepath.Join(filepath.Dir(path), "authority")))
	if err != nil {
		t.Fatal(err)
	}
	certificate := &ssh.Certificate{Key: key, CertType: kind, ValidPrincipals: []string{"connect.example.com"},
		ValidAfter: uint64(from.Unix()), ValidBefore: uint64(until.Unix())}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A certificate is shown while it is valid, before the keys; a file that has changed is
// read again, and what cannot be used is refused and leaves what was.
func TestSSHHostCertificates(t *testing.T) {
	dir, other := hostDir(t), hostDir(t)
	host := openHost(t, dir)
	path := filepath.Join(t.TempDir(), "host-cert.pub")
	openHost(t, other) // its key is the authority's
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "authority"), mustRead(t, other.file(sshECDSAName)), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ours := host.keys[0].PublicKey()
	certify(t, path, ssh.HostCert, ours, now.Add(-time.Hour), now.Add(time.Hour))
	host = openHost(t, dir, path)
	shown := func() string { return host.signers()[0].PublicKey().Type() }
	if got := shown(); got != ssh.CertAlgoED25519v01 || len(host.signers()) != 3 {
		t.Errorf("shown is %s of %d", got, len(host.signers()))
	}

	certify(t, path, ssh.HostCert, ours, now.Add(-2*time.Hour), now.Add(-time.Minute*61))
	later(t, path, now.Add(time.Second))
	host.reload(t.Context())
	if got := shown(); got != ssh.KeyAlgoED25519 {
		t.Errorf("an expired certificate is shown: %s", got)
	}
	certify(t, path, ssh.HostCert, ours, now.Add(-time.Hour), now.Add(time.Hour))
	later(t, path, now.Add(2*time.Second))
	host.reload(t.Context())
	if got := shown(); got != ssh.CertAlgoED25519v01 {
		t.Errorf("after its renewal %s is shown", got)
	}
	if err := os.WriteFile(path, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(t, path, now.Add(3*time.Second))
	host.reload(t.Context())
	if got := shown(); got != ssh.CertAlgoED25519v01 {
		t.Errorf("a damaged file took the certificate away: %s is shown", got)
	}

	stranger, err := ssh.ParsePrivateKey(mustRead(t, other.file(sshEd25519Name)))
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(){
		"another key":    func() { certify(t, path, ssh.HostCert, stranger.PublicKey(), now, now.Add(time.Hour)) },
		"a user's":       func() { certify(t, path, ssh.UserCert, ours, now, now.Add(time.Hour)) },
		"no certificate": func() { _ = os.WriteFile(path, ssh.MarshalAuthorizedKey(ours), 0o600) },
		"nothing":        func() { _ = os.WriteFile(path, nil, 0o600) },
		"too much":       func() { _ = os.WriteFile(path, make([]byte, maxHostCertificate+1), 0o600) },
		"no file":        func() { _ = os.Remove(path) },
	} {
		write()
		if _, err := openSSHHost(dir, []string{path}, slog.New(slog.DiscardHandler)); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// later gives a file another time, whatever the clock of its system can tell apart.
func later(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}
