package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // the root file in it is for everybody
		return postern.Errorf(postern.CodeConfigInvalid, "the directory of the local CA cannot be made: %v", err).Because(err)
	}
	return nil
}

// writeFile puts a file in place whole, and on the disk before it returns: a root that
// clients trust must not be lost with the power.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := disk.Replace(path, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// loadKey reads a private key that must be its owner's alone.
func loadKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key of the local CA: %w", err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"the key %s can be read by others (mode %04o); chmod it to 0600, and make a new CA if others may have read it", path, info.Mode().Perm())
	}
	der, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the key %s cannot be read: %v", path, err).Because(err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the key %s is not an ECDSA key", path)
	}
	return key, nil
}

func loadCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the certificate %s cannot be read: %v", path, err).Because(err)
	}
	return cert, nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}
