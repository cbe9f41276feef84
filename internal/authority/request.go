package authority

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
)

// Asked is a signing request that was made, and the key that stays with it.
type Asked struct {
	Request string // path
	Key     string // path
}

// RequestServer makes a key and a signing request for a server of these names in a folder.
// Errors are those of Authority.Server.
func RequestServer(folder string, names []string, kind KeyType, layout Layout, replace bool) (Asked, error) {
	parsed, err := parseNames(names)
	if err != nil {
		return Asked{}, err
	}
	t := &x509.CertificateRequest{Subject: pkix.Name{CommonName: shortest(parsed)}}
	for _, name := range parsed {
		if name.Address.IsValid() {
			t.IPAddresses = append(t.IPAddresses, name.Address.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, name.Host.String())
		}
	}
	return ask(folder, roleServer, t, kind, layout, replace)
}

// RequestClient makes a key and a signing request for a client in a folder. Errors are
// those of Authority.Client.
func RequestClient(folder, name string, kind KeyType, layout Layout, replace bool) (Asked, error) {
	client, err := parseClient(name)
	if err != nil {
		return Asked{}, err
	}
	t := &x509.CertificateRequest{Subject: pkix.Name{CommonName: client.common}}
	return ask(folder, roleClient, t, kind, layout, replace)
}

func ask(folder, role string, t *x509.CertificateRequest, kind KeyType, layout Layout, replace bool) (Asked, error) {
	if err := layout.check(); err != nil {
		return Asked{}, err
	}
	key, text, err := makeKey(kind)
	if err != nil {
		return Asked{}, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, key)
	if err != nil {
		return Asked{}, fmt.Errorf("signing request: %w", err)
	}
	made := Asked{Request: filepath.Join(folder, layout.request(role)), Key: filepath.Join(folder, layout.key(role))}
	return made, put(folder, replace,
		file{layout.key(role), text, private},
		file{layout.request(role), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), public})
}

// requested are the names that a request is for. Of those that are nothing but a common
// name, as openssl makes them, it is that.
func requested(r *x509.CertificateRequest) []string {
	names := append([]string(nil), r.DNSNames...)
	for _, address := range r.IPAddresses {
		names = append(names, address.String())
	}
	if common := r.Subject.CommonName; len(names) == 0 && strings.Contains(common, ".") {
		names = append(names, common)
	}
	return names
}
