package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// IsPEM tells whether a value is PEM text, and not a path.
func IsPEM(value string) bool { return strings.HasPrefix(strings.TrimSpace(value), "-----BEGIN ") }

// ReadPEM takes PEM text as it is and anything else for a path. what is for the
// message, e.g. "certificate". Errors are CodeFileUnreadable.
func ReadPEM(text, what string) ([]byte, error) {
	if IsPEM(text) {
		return []byte(text), nil
	}
	content, err := os.ReadFile(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the %s cannot be read: %v", what, err).Because(err)
	}
	return content, nil
}

// ReadCAs is ReadPEM for certificates of authorities. What holds something else, as the
// private key that is easily taken for them with files called ca-key and ca-crt, is
// CodeMaterialInvalid.
func ReadCAs(text string) ([]byte, error) {
	content, err := ReadPEM(text, "CA certificate")
	if err != nil {
		return nil, err
	}
	if _, err := material.ReadAuthorities(material.Text{Name: named("mutual_tls_cas", text), Data: content}, time.Now()); err != nil {
		return nil, err
	}
	return content, nil
}

// Material reads what a key of the endpoint gives, PEM or a path, for package material.
// Errors are CodeFileUnreadable.
func (e *Endpoint) Material(key, value string) (material.Text, error) {
	name := named(key, value)
	content, err := ReadPEM(e.File(value), whatIs(key))
	return material.Text{Name: name, Data: content}, err
}

// whatIs is what a key of an endpoint gives.
func whatIs(key string) string {
	switch key {
	case "crt":
		return "certificate"
	case "mutual_tls_cas":
		return "CA certificate"
	case "mutual_tls_crl":
		return "revocation list"
	}
	return key
}

// File is where a path of the endpoint's description leads: below the working directory
// or, where nothing is there, below that of the configuration file. PEM stays as it is.
func (e *Endpoint) File(path string) string {
	if path == "" || e.Dir == "" || IsPEM(path) || filepath.IsAbs(path) {
		return path
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path
	}
	if beside := filepath.Join(e.Dir, path); exists(beside) {
		return beside
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Passphrase reads the passphrase of the endpoint's key, the first line of its file; ""
// where there is none. Errors are CodeFileUnreadable.
func (e *Endpoint) Passphrase() (postern.Secret, error) {
	if e.PassphraseFile == "" {
		return "", nil
	}
	content, err := os.ReadFile(e.File(e.PassphraseFile))
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "key_passphrase_file: %v", err).Because(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return postern.Secret(strings.TrimSuffix(line, "\r")), nil
}

// named is how messages call what a key gives.
func named(key, value string) string {
	if IsPEM(value) {
		return key
	}
	return key + " (" + clip(value) + ")"
}
