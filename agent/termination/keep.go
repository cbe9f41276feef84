package termination

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

type logger = *slog.Logger

// file is where something of a name is kept; scope is whose it is. "": nowhere.
func (c *ACME) file(scope, name, kind string) string {
	if c.Keep == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(scope))
	return filepath.Join(c.Keep, hex.EncodeToString(sum[:6])+"-"+strings.ReplaceAll(name, "*", "_")+kind)
}

// key gives the key that is kept under a name, made at the first time. One that cannot be
// read is replaced, and one that cannot be kept is used all the same: both are told.
func (c *ACME) key(scope, name string, log logger) (*ecdsa.PrivateKey, error) {
	path := c.file(scope, name, ".key")
	if path != "" {
		key, err := loadKey(path)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("a kept key cannot be used and is replaced", slog.String("path", path), slog.String("err", err.Error()))
		}
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	c.write(path, encodeKey(key), log)
	return key, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseKey(text)
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, is := parsed.(*ecdsa.PrivateKey)
	if !is {
		return nil, errors.New("not an ECDSA key")
	}
	return key, nil
}

func encodeKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil // cannot happen: it is one of ours
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// write keeps content for its owner only.
func (c *ACME) write(path string, content []byte, log logger) {
	if path == "" {
		return
	}
	err := os.MkdirAll(c.Keep, 0o700)
	if err == nil {
		err = disk.Replace(path, content, 0o600)
	}
	if err != nil {
		log.Warn("a certificate or key cannot be kept, and is made anew at the next start", slog.String("path", path), slog.String("err", err.Error()))
	}
}

// renewHeader is where the time of the renewal stands in what is kept.
const renewHeader = "Renew-At"

// save keeps a certificate and its key in one file, so that they always belong together.
func (c *ACME) save(scope string, h *held, key *ecdsa.PrivateKey, log logger) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return // cannot happen: it is one of ours
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{renewHeader: h.renew.UTC().Format(time.RFC3339)}, Bytes: der})
	for _, one := range h.certificate.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one})...)
	}
	c.write(c.file(scope, h.host.String(), ".pem"), text, log)
}

// load gives what was kept, nil where there is nothing that can be used.
func (c *ACME) load(scope string, host postern.Hostname) *held {
	path := c.file(scope, host.String(), ".pem")
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	block, chain := pem.Decode(text)
	key, err := parseKey(text)
	if err != nil {
		return nil
	}
	renew, err := time.Parse(time.RFC3339, block.Headers[renewHeader])
	if err != nil {
		return nil
	}
	certificate, err := pair(chain, key, host)
	if err != nil {
		return nil
	}
	return &held{certificate: certificate, host: host, renew: renew, acme: true}
}

// roots reads who may vouch for the ACME server.
func (c *ACME) roots() (string, error) {
	if c.RootsFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(c.RootsFile)
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "acme.ca_root: %v", err).Because(err)
	}
	return string(text), nil
}
