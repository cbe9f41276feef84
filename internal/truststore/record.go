package truststore

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/postern-dev/postern/internal/disk"
)

// record notes a certificate, so that it can be taken out when nothing else knows it any
// more, as that of a server that is gone.
func (m Machine) record(c *x509.Certificate) error {
	if m.Records == "" {
		return nil
	}
	if err := os.MkdirAll(m.Records, 0o700); err != nil {
		return err
	}
	return disk.Replace(m.recordOf(c), encode(c), 0o644)
}

func (m Machine) forget(c *x509.Certificate) error {
	if m.Records == "" {
		return nil
	}
	if err := os.Remove(m.recordOf(c)); err != nil && !missing(err) {
		return err
	}
	return nil
}

func (m Machine) recordOf(c *x509.Certificate) string {
	return filepath.Join(m.Records, short(c)+".pem")
}

// Recorded are the certificates that Trust has put into a store of this machine, as the
// same user, and Untrust has not taken out of all.
func (m Machine) Recorded() ([]*x509.Certificate, error) {
	entries, err := os.ReadDir(m.Records)
	if m.Records == "" || missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pem" {
			continue
		}
		path := filepath.Join(m.Records, entry.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s has no certificate; remove it", path)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove it", path, err)
		}
		all = append(all, c)
	}
	return all, nil
}
