package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/postern-dev/postern"
)

const (
	leastPassphrase = 8
	mostPassphrase  = 128

	// archiveRounds is what a guess of an archive's passphrase costs; opening it takes a
	// tenth of a second.
	archiveRounds = 100_000
)

// Archive asks for a PKCS #12 file (RFC 7292) beside a client's PEM files.
type Archive struct {
	Passphrase postern.Secret
	// Legacy encrypts as programs before 2020 read it, Apple's key chain among them, which
	// holds off nobody who has the file and time.
	Legacy bool
}

// CheckPassphrase refuses passphrases that protect nothing, or that programs do not read
// alike. Errors are CodeFlagInvalid.
func CheckPassphrase(passphrase postern.Secret) error {
	text := passphrase.Reveal()
	switch count := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r > 0xffff }):
		return postern.Errorf(postern.CodeFlagInvalid, "the passphrase has characters that programs do not read alike; use letters, digits and punctuation")
	case count < leastPassphrase:
		return postern.Errorf(postern.CodeFlagInvalid, "the passphrase has %d characters; give %d at least, for the file travels", count, leastPassphrase)
	case count > mostPassphrase:
		return postern.Errorf(postern.CodeFlagInvalid, "the passphrase has %d characters; give %d at most", count, mostPassphrase)
	}
	return nil
}

// NewPassphrase makes one up: 100 bits that can be read out on the telephone.
func NewPassphrase() postern.Secret {
	var bytes [15]byte
	_, _ = rand.Read(bytes[:]) // never fails
	letters := strings.ToLower(base32.StdEncoding.EncodeToString(bytes[:]))[:20]
	groups := slices.Collect(slices.Chunk([]byte(letters), 5))
	texts := make([]string, len(groups))
	for i, group := range groups {
		texts[i] = string(group)
	}
	return postern.Secret(strings.Join(texts, "-"))
}

// Client makes a certificate for a client, and the folder that it is handed over in. host
// is what the page in it has the client visit; "" is the server that the CA issued to
// last. A nil archive is none. Errors are those of Server.
func (a *Authority) Client(name, host string, l Leaf, archive *Archive) (Issued, error) {
	client, err := parseClient(name)
	if err != nil {
		return Issued{}, err
	}
	life, err := bounded("a client's certificate", l.Life, LeafLife, longestClient)
	if err != nil {
		return Issued{}, err
	}
	switch {
	case client.common == a.Certificate.Subject.CommonName:
		return Issued{}, postern.Errorf(postern.CodeFlagInvalid, "the client's name %q is that of the CA, so its certificate would pass for self-signed; give it another", clip(client.common))
	case archive == nil:
	case l.Request != nil:
		return Issued{}, postern.Errorf(postern.CodeFlagInvalid, "--p12 has the private key in it, which is not here with --csr; whoever has it can make one: openssl pkcs12 -export -inkey client.key -in client.pem -out client.p12")
	default:
		if err := CheckPassphrase(archive.Passphrase); err != nil {
			return Issued{}, err
		}
	}
	if host, err = a.visited(host); err != nil {
		return Issued{}, err
	}
	t := a.leafTemplate(client.common, life, x509.ExtKeyUsageClientAuth)
	if client.email != "" {
		t.EmailAddresses = []string{client.email}
	}
	if client.host != "" {
		t.DNSNames = []string{client.host.String()}
	}
	return a.issue(roleClient, client.common, t, l, func(made *Issued, key crypto.Signer) ([]file, error) {
		var files []file
		if archive != nil {
			packed, err := archive.pack(key, made.Record.Certificate, a.Certificate)
			if err != nil {
				return nil, err
			}
			files = append(files, file{a.layout.archive(roleClient), packed, private})
			made.Archive = filepath.Join(made.Folder, a.layout.archive(roleClient))
		}
		made.Readme = filepath.Join(made.Folder, a.layout.readme(roleClient))
		made.Curl = a.curl(host)
		page, err := a.page(*made, host)
		return append(files, file{a.layout.readme(roleClient), page, public}), err
	})
}

func (p *Archive) pack(key crypto.Signer, certificate, ca *x509.Certificate) ([]byte, error) {
	encoder := pkcs12.Modern2023.WithIterations(archiveRounds)
	if p.Legacy {
		encoder = pkcs12.LegacyDES
	}
	packed, err := encoder.Encode(key, certificate, []*x509.Certificate{ca}, p.Passphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("PKCS #12 file: %w", err)
	}
	return packed, nil
}

// visited is the host of a client's page.
func (a *Authority) visited(host string) (string, error) {
	if host != "" {
		name, err := ParseName(host)
		return name.String(), err
	}
	records, err := a.Records()
	if err != nil {
		return "", err
	}
	for _, r := range records {
		if r.Role() == roleServer && r.Status(a.now()) == "valid" {
			if names := slices.Concat(r.DNSNames, r.Names()); len(names) > 0 {
				return names[0], nil
			}
		}
	}
	return "", nil
}
