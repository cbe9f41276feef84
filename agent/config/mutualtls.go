package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// asksForCertificates tells whether visitors must show certificates, or may.
func (m *Middleware) asksForCertificates() bool {
	return m.MutualTLSCAs != "" || m.MutualTLSMode != "" || m.MutualTLSStaleCRL
}

// validateMutualTLS refuses certificates where no TLS ends in which they could be shown.
func (e *Endpoint) validateMutualTLS() error {
	if _, err := postern.ParseClientCertificateMode(e.MutualTLSMode); err != nil {
		return e.invalid("tunnel '%s': mutual_tls_mode: %s", e.Name, postern.AsError(err).Text())
	}
	switch {
	case e.Revocations != "" && e.MutualTLSCAs == "":
		return e.invalid("tunnel '%s': mutual_tls_crl needs mutual_tls_cas, for it says which of their certificates are refused", e.Name)
	case !e.asksForCertificates():
		return nil
	case e.URL.Scheme == postern.TLS && e.Termination == AtUpstream:
		return e.invalid("tunnel '%s': mutual_tls_cas needs terminate_at: agent or edge, for whoever ends TLS checks the visitors' certificates", e.Name)
	case e.URL.Scheme == postern.TCP || e.URL.Scheme == postern.UDP:
		return e.invalid("tunnel '%s': mutual_tls_cas is for https and tls; visitors of %s endpoints speak no TLS with the server or the agent in which they could show a certificate", e.Name, e.URL.Scheme)
	case e.URL.Scheme == postern.HTTP || slices.Contains(e.Also, postern.HTTP):
		return e.invalid("tunnel '%s': mutual_tls_cas is for https, and over plain http everybody would come in; set schemes: [https] (bind_tls: true)", e.Name)
	case e.Termination == AtAgent && uploadedAuthorities(e.MutualTLSCAs) != "":
		return e.invalid("tunnel '%s': an uploaded authority is the server's to check with; give the agent the path of its certificate", e.Name)
	}
	return nil
}

// MutualTLS reads the files of what whoever ends TLS shall ask of visitors' certificates.
// authorities are what asked has as text, with warnings about those that are odd and can be
// used all the same; nil where no file or text is given. Errors are CodeFileUnreadable,
// CodeMaterialInvalid and CodeConfigInvalid.
func (e *Endpoint) MutualTLS(now time.Time) (asked postern.MutualTLS, authorities *material.Authorities, err error) {
	if !e.asksForCertificates() {
		return asked, nil, nil
	}
	if asked.Mode, err = postern.ParseClientCertificateMode(e.MutualTLSMode); err != nil {
		return asked, nil, err
	}
	asked.StaleLists = e.MutualTLSStaleCRL
	ids := uploadedAuthorities(e.MutualTLSCAs)
	switch {
	case ids != "" && e.Revocations != "":
		return asked, nil, postern.Errorf(postern.CodeConfigInvalid, "mutual_tls_crl is for authorities that are given as a file; those of %s are uploaded to the server", ids)
	case ids != "":
		asked.AuthorityIDs = ids
		return asked, nil, nil
	case e.MutualTLSCAs == "" && asked.EffectiveMode().Verifies():
		return asked, nil, postern.Errorf(postern.CodeConfigInvalid, "mutual_tls_cas is missing: it has the certificates of who may vouch for visitors")
	case e.MutualTLSCAs == "":
		return asked, nil, nil
	}
	authorities, err = e.readAuthorities(now)
	if err != nil {
		return asked, nil, err
	}
	asked.AuthoritiesPEM = string(authorities.PEM())
	return asked, authorities, nil
}

// readAuthorities reads those of a file or text, with the revocation lists given beside
// them.
func (e *Endpoint) readAuthorities(now time.Time) (*material.Authorities, error) {
	text, err := e.Material("mutual_tls_cas", e.MutualTLSCAs)
	if err != nil {
		return nil, err
	}
	authorities, err := material.ReadAuthorities(text, now)
	if err != nil {
		return nil, err
	}
	if err := authorities.Alive(text.Name, now); err != nil {
		return nil, err
	}
	if e.Revocations == "" {
		return authorities, nil
	}
	if text, err = e.Material("mutual_tls_crl", e.Revocations); err != nil {
		return nil, err
	}
	lists, warnings, err := material.ReadRevocationLists(text, authorities.Certificates, now)
	if err != nil {
		return nil, err
	}
	authorities.Revocations = append(authorities.Revocations, lists...)
	authorities.Warnings = append(authorities.Warnings, warnings...)
	return authorities, nil
}

// uploadedAuthorities gives the ids of authorities that the account has uploaded, "ca_…"
// by commas, and "" where text is a path or PEM. No file is called so.
func uploadedAuthorities(text string) string {
	if !regexp.MustCompile(`^\s*ca_[0-9A-Za-z]{20,40}(\s*,\s*ca_[0-9A-Za-z]{20,40})*\s*$`).MatchString(text) {
		return ""
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }), ",")
}
