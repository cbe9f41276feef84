package policy

import (
	"crypto/tls"
	"regexp"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// terminateTLS says how the server ends the TLS of visitors.
func terminateTLS() kind {
	return kind{name: "terminate-tls", phases: inTCP, build: func(c *config) action {
		c.forTLS()
		t := &termination{least: c.version("min_version", "1.2"), most: c.version("max_version", "1.3")}
		if t.least > t.most {
			c.fault("min_version", "it is newer than max_version: nobody could connect")
		}
		c.identity(t)
		c.clients(t)
		return t
	}}
}

// forTLS refuses endpoints whose visitors speak no TLS with the server.
func (c *config) forTLS() {
	target := c.compiler.target
	switch {
	case target.Scheme != postern.HTTPS && target.Scheme != postern.TLS:
		c.compiler.report(postern.CodePolicyActionProtocol, c.at, c.where, "terminate-tls is for https and tls endpoints; visitors of %s endpoints speak no TLS with the server", target.Scheme)
	case target.Internal:
		c.compiler.report(postern.CodePolicyActionProtocol, c.at, c.where, "terminate-tls is for public endpoints: what comes to an internal one has no TLS of its own")
	}
}

func (c *config) version(name, otherwise string) uint16 {
	if c.choice(name, otherwise, "1.2", "1.3") == "1.2" {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// The names of fields that messages about their content begin with.
const (
	fieldCertificate = "server_certificate"
	fieldKey         = "server_private_key"
	fieldAuthorities = "mutual_tls_certificate_authorities"
	fieldStrategy    = "mutual_tls_verification_strategy"
)

// identity reads the certificate and key, and holds them to each other where they are
// known already.
func (c *config) identity(t *termination) {
	t.certificate, t.key = c.template(fieldCertificate), c.template(fieldKey)
	switch certificate, key := c.node.get(fieldCertificate).none(), c.node.get(fieldKey).none(); {
	case key && !certificate:
		c.fault(fieldKey, "it is missing: %s needs its private key", fieldCertificate)
	case certificate && !key:
		c.fault(fieldCertificate, "it is missing: %s needs the certificate of it", fieldKey)
	}
	if t.certificate == nil || t.key == nil {
		return
	}
	certificate, known := t.certificate.Constant()
	key, knownKey := t.key.Constant()
	if known && !knownKey {
		if _, err := material.ReadCertificates(material.Text{Name: "it", Data: []byte(certificate)}); err != nil {
			c.fault(fieldCertificate, "%s", postern.AsError(err).Text())
		}
	}
	if known && knownKey {
		c.pair(certificate, postern.Secret(key))
	}
}

func (c *config) pair(certificate string, key postern.Secret) {
	read, err := readIdentity(certificate, key)
	if err != nil {
		text, at := postern.AsError(err).Text(), fieldCertificate
		if strings.HasPrefix(text, fieldKey) {
			at = fieldKey
		}
		c.fault(at, "%s", text)
		return
	}
	for _, warning := range read.Warnings {
		c.warn(fieldCertificate, "%s", warning.Text)
	}
}

func readIdentity(certificate string, key postern.Secret) (*material.Identity, error) {
	return material.ReadIdentity(material.Text{Name: fieldCertificate, Data: []byte(certificate)},
		material.Text{Name: fieldKey, Data: []byte(key.Reveal())}, "", time.Now())
}

// clients reads who may come in.
func (c *config) clients(t *termination) {
	strategy := c.choice(fieldStrategy, string(postern.ClientCertificateRequiredAndVerified), "require-and-verify", "require-any", "request")
	asked := !c.node.get(fieldStrategy).none()
	authorities := c.list(fieldAuthorities, material.MostAuthorities)
	var problem error
	if t.mode, problem = postern.ParseClientCertificateMode(strategy); problem != nil {
		return // it was reported
	}
	for _, item := range authorities {
		made := c.templateOf(fieldAuthorities, item)
		if made == nil {
			continue
		}
		t.authorities = append(t.authorities, made)
		if text, constant := made.Constant(); constant {
			c.authority(item, text)
		}
	}
	t.asks = asked || len(t.authorities) > 0
	if asked && t.mode.Verifies() && len(t.authorities) == 0 {
		c.fault(fieldAuthorities, "it is empty: with %s nobody could be let in", strategy)
	}
}

// authority looks at one that is known already.
func (c *config) authority(item *node, text string) {
	if authorityID.MatchString(strings.TrimSpace(text)) {
		c.compiler.program.authorities = append(c.compiler.program.authorities, named{strings.TrimSpace(text), Problem{
			Line: item.line, Column: item.column, Where: c.place(fieldAuthorities), Code: postern.CodePolicyValueInvalid,
		}})
		return
	}
	if _, err := material.ReadAuthorities(material.Text{Name: "it", Data: []byte(text)}, time.Now()); err != nil {
		c.compiler.report(postern.CodePolicyValueInvalid, item, c.place(fieldAuthorities), "%s; give PEM, or the id of a certificate authority of the account, ca_…", postern.AsError(err).Text())
	}
}

var authorityID = regexp.MustCompile(`^ca_[A-Za-z0-9]+$`)

// named is something of the account that a policy names, and where.
type named struct {
	id string
	at Problem
}
