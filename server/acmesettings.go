package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/acme"
)

// ACME says from whom the server gets certificates by itself.
type ACME struct {
	Directories []string // URLs; the first one that issues will do. None: Let's Encrypt in the mode acme, else nobody
	Email       string
	EABKeyID    string
	EABMACKey   postern.Secret // base64url
	CARoot      string         // a file with roots for the directories' own certificates
	KeyType     string         // of the server's own certificates: acme.ECDSA or acme.RSA
	DNS         ACMEDNS
}

// ACMEDNS says how TXT records come into the zone of the server's own domain, where that
// is served elsewhere.
type ACMEDNS struct {
	Exec string // a program
	// Server takes updates (RFC 2136) at host:port, signed with the key, if one is named.
	Server       string
	Zone         postern.Hostname // "": found out
	KeyName      string
	KeySecret    postern.Secret // base64
	KeyAlgorithm string
	Wait         time.Duration // until the zone's servers have what was written
}

// writes tells whether there is a way.
func (d ACMEDNS) writes() bool { return d.Exec != "" || d.Server != "" }

// letsEncryptURL is the directory of the mode acme where no other is named.
const letsEncryptURL = "https://acme-v02.api.letsencrypt.org/directory"

// directories are those that are asked; none: the server gets no certificates by itself.
func (c Config) directories() []string {
	if len(c.ACME.Directories) == 0 && c.TLS.Mode == ModeACME {
		return []string{letsEncryptURL}
	}
	return c.ACME.Directories
}

// certifies is the type of the keys of agent ingresses that have no policy; "": the local
// CA or files have their certificates.
func (c Config) certifies() string {
	if c.TLS.Mode != ModeACME {
		return ""
	}
	return c.ACME.KeyType
}

// delegatesChallenges tells whether the server's own wildcard is proved by a record that
// leads into the zone which it answers for.
func (c Config) delegatesChallenges() bool {
	return c.TLS.Mode == ModeACME && c.Listen.DNS != "" && !c.ACME.DNS.writes()
}

// certificateSettings are those of the server's certificates.
func certificateSettings() []Setting {
	return append([]Setting{
		scalar("tls.mode", "MODE", "Where the server's own certificates come from: local_ca, files or acme.",
			func(c *Config) *string { return &c.TLS.Mode }, oneOf(ModeLocalCA, ModeFiles, ModeACME), plain),
		sequence("tls.certificates", "CERTIFICATE=KEY", "PEM files for the mode files: items with certificate and key. The files are read again when they change.",
			func(c *Config) *[]CertificateFiles { return &c.TLS.Certificates }, parseCertificateFiles, CertificateFiles.String).
			items("certificate", "key"),
		sequence("tls.directory", "URL", "The ACME directories from which the server gets certificates by itself, in the order in which they are asked; letsencrypt and letsencrypt-staging stand for theirs. With the mode acme the default is letsencrypt; with other modes none, and what is named here is for the domains and agent ingresses of accounts. Naming one agrees to its terms of service.",
			func(c *Config) *[]string { return &c.ACME.Directories }, parseDirectory, plain),
		scalar("tls.email", "ADDRESS", "Where these authorities write to when something is wrong; empty: nowhere.",
			func(c *Config) *string { return &c.ACME.Email }, parseEmail, plain),
		scalar("tls.eab.key_id", "ID", "The external account that a directory demands: its key's id.",
			func(c *Config) *string { return &c.ACME.EABKeyID }, anyText, plain),
		secretSetting("tls.eab.mac_key", "BASE64URL", "And the key itself. Give it in the file or as POSTERN_TLS_EAB_MAC_KEY, for flags can be seen by everybody on the machine.",
			func(c *Config) *postern.Secret { return &c.ACME.EABMACKey }, parseMACKey),
		scalar("tls.ca_root", "FILE", "Roots to trust, in place of the system's, when a directory is asked: for an authority of your own.",
			func(c *Config) *string { return &c.ACME.CARoot }, anyText, plain),
		scalar("tls.key_type", "TYPE", "The keys of the server's own certificates: ecdsa (P-256) or rsa (4096 bits).",
			func(c *Config) *string { return &c.ACME.KeyType }, oneOf(acme.ECDSA, acme.RSA), plain),
	}, recordSettings()...)
}

// recordSettings say how TXT records are written elsewhere.
func recordSettings() []Setting {
	return []Setting{
		scalar("acme.dns.exec", "FILE", "A program that writes TXT records of the server's own domain, for a wildcard certificate: FILE add NAME TEXT, and FILE remove NAME TEXT.",
			func(c *Config) *string { return &c.ACME.DNS.Exec }, parseProgram, plain),
		scalar("acme.dns.rfc2136.server", "HOST:PORT", "A name server that takes updates (RFC 2136) of the server's own domain, for the same.",
			func(c *Config) *string { return &c.ACME.DNS.Server }, parseUpdateServer, plain),
		scalar("acme.dns.rfc2136.zone", "DOMAIN", "The zone that is updated; empty: the server is asked.",
			func(c *Config) *postern.Hostname { return &c.ACME.DNS.Zone }, parseDomain, postern.Hostname.String),
		scalar("acme.dns.rfc2136.key_name", "NAME", "The key that signs updates (TSIG); empty: they are not signed.",
			func(c *Config) *string { return &c.ACME.DNS.KeyName }, anyText, plain),
		secretSetting("acme.dns.rfc2136.key_secret", "BASE64", "That key. Give it in the file or as POSTERN_ACME_DNS_RFC2136_KEY_SECRET, for flags can be seen by everybody on the machine.",
			func(c *Config) *postern.Secret { return &c.ACME.DNS.KeySecret }, parseTSIGKey),
		scalar("acme.dns.rfc2136.key_algorithm", "NAME", "Its algorithm: hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha224 or hmac-sha1.",
			func(c *Config) *string { return &c.ACME.DNS.KeyAlgorithm }, oneOf(acme.TSIGAlgorithms()...), plain),
		scalar("acme.dns.wait", "DURATION", "How long it takes until all servers of the zone have what was written.",
			func(c *Config) *time.Duration { return &c.ACME.DNS.Wait }, between(0, time.Hour), time.Duration.String),
	}
}

// secretSetting is a setting whose value nobody is shown.
func secretSetting(key, argument, about string, field func(*Config) *postern.Secret, parse func(string) (postern.Secret, error)) Setting {
	setting := scalar(key, argument, about, field, parse, func(s postern.Secret) string {
		if s == "" {
			return ""
		}
		return masked
	})
	setting.same = func(a, b Config) bool { return field(&a).Equal(*field(&b)) }
	setting.secret = true
	return setting
}

func parseDirectory(s string) (string, error) {
	switch s {
	case "letsencrypt":
		return letsEncryptURL, nil
	case "letsencrypt-staging":
		return "https://acme-staging-v02.api.letsencrypt.org/directory", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Contains(s, ",") {
		return "", fmt.Errorf("%q must be letsencrypt, letsencrypt-staging or the https URL of an ACME directory", clip(s))
	}
	return s, nil
}

func parseEmail(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Name != "" || address.Address != s {
		return "", fmt.Errorf("%q is not an e-mail address", clip(s))
	}
	return s, nil
}

// parseMACKey never quotes what it was given.
func parseMACKey(s string) (postern.Secret, error) {
	s = strings.TrimRight(s, "=")
	if _, err := base64.RawURLEncoding.DecodeString(s); err != nil {
		return "", errors.New("not base64url; copy the key as the authority has given it")
	}
	return postern.Secret(s), nil
}

// parseTSIGKey never quotes what it was given.
func parseTSIGKey(s string) (postern.Secret, error) {
	if _, err := base64.StdEncoding.DecodeString(s); err != nil {
		return "", errors.New("not base64; copy the key as the name server's configuration has it")
	}
	return postern.Secret(s), nil
}

func parseProgram(s string) (string, error) {
	if s != "" && !filepath.IsAbs(s) {
		return "", fmt.Errorf("%q must be the absolute path of a program", clip(s))
	}
	return s, nil
}

func parseUpdateServer(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "53"
	}
	if host == "" {
		return "", fmt.Errorf("%q is not a name server; write host or host:port", clip(s))
	}
	if _, err := parsePort(port); err != nil {
		return "", fmt.Errorf("%q: port %q is not a number from 1 to 65535", clip(s), clip(port))
	}
	return net.JoinHostPort(host, port), nil
}

// validateACME checks what no single key shows.
func (c *Config) validateACME(problems *Problems) {
	if (c.ACME.EABKeyID == "") != (c.ACME.EABMACKey == "") {
		problems.add(c.place("tls.eab.key_id"), "tls.eab.key_id and tls.eab.mac_key go together; one of them is missing")
	}
	dns := c.ACME.DNS
	if (dns.KeyName == "") != (dns.KeySecret == "") {
		problems.add(c.place("acme.dns.rfc2136.key_name"), "acme.dns.rfc2136.key_name and acme.dns.rfc2136.key_secret go together; one of them is missing")
	}
	if len(c.directories()) > 0 {
		return
	}
	for _, one := range []struct {
		key string
		set bool
	}{{"tls.email", c.ACME.Email != ""}, {"tls.eab.key_id", c.ACME.EABKeyID != ""}, {"tls.ca_root", c.ACME.CARoot != ""},
		{"acme.dns.exec", dns.Exec != ""}, {"acme.dns.rfc2136.server", dns.Server != ""}} {
		if one.set {
			problems.add(c.place(one.key), "%s is for certificates from ACME, but tls.mode is %s and tls.directory names none", one.key, c.TLS.Mode)
		}
	}
}
