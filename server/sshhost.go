package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

// The keys by which SSH clients know the server, in OpenSSH's form, in the data directory.
const (
	sshEd25519Name = "ssh_host_ed25519_key"
	sshECDSAName   = "ssh_host_ecdsa_key"
)

// maxHostCertificate bounds a file with an SSH host certificate.
const maxHostCertificate = 64 << 10

// sshHost is what the server shows SSH clients: its keys, and the certificates for them
// that the configuration names.
type sshHost struct {
	keys  []ssh.Signer
	paths []string
	log   *slog.Logger

	certificates atomic.Pointer[[]hostCertificate]
	reading      sync.Mutex
	stamps       []fileStamp
}

// hostCertificate is a certificate with the key that it is for.
type hostCertificate struct {
	*ssh.Certificate
	signer ssh.Signer
	path   string
}

// openSSHHost reads the keys of a data directory, and makes those that are missing, and
// reads the certificates.
func openSSHHost(dir *dataDir, certificates []string, log *slog.Logger) (*sshHost, error) {
	host := &sshHost{paths: certificates, log: log}
	for _, one := range []struct {
		name string
		make func() (crypto.Signer, error)
	}{
		{sshEd25519Name, func() (crypto.Signer, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }},
		{sshECDSAName, func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	} {
		key, err := dir.sshKey(one.name, one.make)
		if err != nil {
			return nil, err
		}
		host.keys = append(host.keys, key)
	}
	host.stamps = host.look()
	return host, host.read()
}

// sshKey reads a private key, and makes it the first time.
func (d *dataDir) sshKey(name string, generate func() (crypto.Signer, error)) (ssh.Signer, error) {
	path := d.file(name)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key, err := generate()
		if err != nil {
			return nil, unusable(d.path, err)
		}
		block, err := ssh.MarshalPrivateKey(key, "postern")
		if err != nil {
			return nil, unusable(d.path, err)
		}
		text = pem.EncodeToMemory(block)
		if err := disk.Replace(path, text, 0o600); err != nil {
			return nil, unusable(d.path, err)
		}
	case err != nil:
		return nil, unusable(d.path, err)
	}
	if err := checkMode(path); err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"%s is no SSH private key without a passphrase; restore it from a backup, or remove it and SSH clients see another host key", path).Because(err)
	}
	return signer, d.publish(name+".pub", signer.PublicKey())
}

// publish writes a public key where its owner looks for it who makes a certificate for it.
func (d *dataDir) publish(name string, key ssh.PublicKey) error {
	line := ssh.MarshalAuthorizedKey(key)
	if there, err := os.ReadFile(d.file(name)); err == nil && bytes.HasPrefix(there, bytes.TrimSpace(line)) {
		return nil
	}
	if err := disk.Replace(d.file(name), line, 0o600); err != nil {
		return unusable(d.path, err)
	}
	return nil
}

// read reads the certificates, all of them or none.
func (h *sshHost) read() error {
	var all []hostCertificate
	for _, path := range h.paths {
		one, err := h.readCertificate(path)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	h.certificates.Store(&all)
	return nil
}

func (h *sshHost) readCertificate(path string) (hostCertificate, error) {
	refuse := func(format string, args ...any) (hostCertificate, error) {
		return hostCertificate{}, postern.Errorf(postern.CodeConfigInvalid, "ssh.host_certificates: "+path+" "+format, args...)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return refuse("cannot be read: %v", reason(err))
	}
	if len(text) > maxHostCertificate {
		return refuse("has %d bytes; at most %d are allowed", len(text), maxHostCertificate)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	certificate, ok := key.(*ssh.Certificate)
	if err != nil || !ok || certificate.CertType != ssh.HostCert {
		return refuse("is no SSH host certificate, a line such as \"ssh-ed25519-cert-v01@openssh.com AAAA…\"")
	}
	for _, signer := range h.keys {
		if !bytes.Equal(signer.PublicKey().Marshal(), certificate.Key.Marshal()) {
			continue
		}
		certified, err := ssh.NewCertSigner(certificate, signer)
		if err != nil {
			return refuse("cannot be used: %v", err)
		}
		return hostCertificate{certificate, certified, path}, nil
	}
	return refuse("is for the key %s; this server's are %q", ssh.FingerprintSHA256(certificate.Key), h.fingerprints())
}

// signers are the keys, each behind its certificate if that is valid now: clients prefer
// a certificate whose authority they know.
func (h *sshHost) signers() []ssh.Signer {
	var all []ssh.Signer
	now := time.Now()
	for _, one := range *h.certificates.Load() {
		if one.validAt(now) {
			all = append(all, one.signer)
		}
	}
	return append(all, h.keys...)
}

func (c hostCertificate) validAt(now time.Time) bool {
	seconds := uint64(max(now.Unix(), 0))
	return c.ValidAfter <= seconds && (seconds < c.ValidBefore || c.ValidBefore == math.MaxUint64)
}

// fingerprints are those that clients show at their first connection.
func (h *sshHost) fingerprints() []string {
	var all []string
	for _, key := range h.keys {
		all = append(all, ssh.FingerprintSHA256(key.PublicKey()))
	}
	return all
}

func (h *sshHost) look() []fileStamp {
	stamps := make([]fileStamp, len(h.paths))
	for i, path := range h.paths {
		stamps[i] = stampOf(path)
	}
	return stamps
}

// reload reads the certificates again whose files have changed: whoever renews them does
// not restart the server.
func (h *sshHost) reload(ctx context.Context) {
	h.reading.Lock()
	defer h.reading.Unlock()
	now := h.look()
	if slices.Equal(now, h.stamps) {
		return
	}
	h.stamps = now
	if err := h.read(); err != nil {
		h.log.WarnContext(ctx, "the new SSH host certificates are refused; the old ones stay in force", "error", err)
		return
	}
	h.log.InfoContext(ctx, "SSH host certificates reloaded", "files", h.paths)
}
