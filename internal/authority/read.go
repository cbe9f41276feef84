package authority

import (
	"crypto"
	"crypto/x509"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// open reads a file that should hold PEM. A missing one is fs.ErrNotExist in the chain.
func open(path string) (material.Text, error) {
	f, err := os.Open(path)
	if err != nil {
		return material.Text{}, unreadable(path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return material.Text{}, postern.Errorf(postern.CodeFileUnreadable, "%s is a folder; name a file in it", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, material.MostBytes+1))
	if err != nil {
		return material.Text{}, unreadable(path, err)
	}
	return material.Text{Name: path, Data: data}, nil
}

func unreadable(path string, err error) error {
	return postern.Errorf(postern.CodeFileUnreadable, "%s cannot be read: %v", path, reason(err)).Because(reason(err))
}

// ReadCertificates reads the certificates of a file; there is at least one. Errors are
// CodeFileUnreadable and CodeMaterialInvalid.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	text, err := open(path)
	if err != nil {
		return nil, err
	}
	return material.ReadCertificates(text)
}

// readKey reads the CA's key, which must be its owner's alone.
func readKey(path string, passphrase postern.Secret) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return nil, postern.Errorf(postern.CodeAuthorityUnusable, "the CA's key %s can be read by others (mode %04o); chmod 600 it, and make a new CA if others may have read it",
			path, info.Mode().Perm()&fs.ModePerm)
	}
	text, err := open(path)
	if err != nil {
		return nil, err
	}
	return material.ReadKey(text, passphrase)
}

// ReadRequest reads a certificate signing request (PKCS #10, RFC 2986) from a file. Its
// signature is good: whoever sent it has the key that it is for. Errors are
// CodeFileUnreadable and CodeMaterialInvalid.
func ReadRequest(path string) (*x509.CertificateRequest, error) {
	text, err := open(path)
	if err != nil {
		return nil, err
	}
	return material.ReadRequest(text)
}
