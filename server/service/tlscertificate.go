package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/uploaded"
	"github.com/postern-dev/postern/server/store"
)

// TLSCertificates are the use cases of TLS certificates.
type TLSCertificates = Collection[store.TLSCertificate, resource.TLSCertificate, resource.TLSCertificateCreate, resource.TLSCertificateUpdate, *store.TLSCertificate]

// Where private keys are sealed: neither may change.
const sealedCertificate, sealedKey = "tls_certificate", "private_key"

// TLSCertificates returns the use cases of TLS certificates.
func (s *Service) TLSCertificates() *TLSCertificates {
	definition := resource.TLSCertificates().Definition
	return &TLSCertificates{
		service: s, definition: definition, rows: store.Tx.TLSCertificates,
		stored: map[string]string{
			"subject_common_name": "subject_common_name", "serial_number": "serial_number",
			"not_before": "not_before", "not_after": "not_after", "issued_at": "issued_at",
		},
		events: eventTypes{event.TLSCertificateCreated, event.TLSCertificateUpdated, event.TLSCertificateDeleted},
		build: func(d *draft, _ Caller, row *store.TLSCertificate, c resource.TLSCertificateCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			return s.setCertificate(d, row, c.CertificatePEM, c.PrivateKeyPEM)
		},
		change: func(_ *draft, _ Caller, row *store.TLSCertificate, u resource.TLSCertificateUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		release: releaseCertificate,
		show: func(_ reader, row *store.TLSCertificate) (resource.TLSCertificate, error) {
			shown, err := describeCertificate(row)
			shown.Identity, shown.Notes = s.identity(definition, &row.Meta), notes(&row.Meta)
			return shown, err
		},
	}
}

// setCertificate puts a chain and its key, as they were sent, into a row.
func (s *Service) setCertificate(d *draft, row *store.TLSCertificate, chainText, keyText string) error {
	chain, err := uploaded.Chain(chainText)
	if err != nil {
		return err
	}
	key, err := uploaded.Key(keyText)
	if err != nil {
		return err
	}
	if err := uploaded.Pair(chain, key); err != nil {
		return err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return postern.Errorf(postern.CodePrivateKeyUnreadable, "the private key cannot be stored").Because(err)
	}
	leaf := chain[0]
	row.Chain, row.CommonName, row.Serial = chainText, uploaded.Texts([]string{leaf.Subject.CommonName}), uploaded.Serial(leaf)
	row.NotBefore, row.NotAfter = leaf.NotBefore, leaf.NotAfter
	row.PrivateKey, err = s.seal(d, sealedCertificate, row.ID, sealedKey, plain)
	return err
}

// describeCertificate shows what a certificate says.
func describeCertificate(row *store.TLSCertificate) (resource.TLSCertificate, error) {
	leaf, err := storedLeaf(row.ID, row.Chain)
	if err != nil {
		return resource.TLSCertificate{}, err
	}
	shown := resource.TLSCertificate{
		CertificatePEM: row.Chain, SubjectCommonName: row.CommonName, SerialNumber: row.Serial,
		SubjectAlternativeNames: resource.SANs{DNSNames: []string{}, IPs: []string{}},
		NotBefore:               resource.Moment(row.NotBefore), NotAfter: resource.Moment(row.NotAfter),
		KeyUsages: uploaded.KeyUsages(leaf), ExtendedKeyUsages: uploaded.ExtendedKeyUsages(leaf),
		PrivateKeyType: uploaded.KeyType(leaf.PublicKey), IssuerCommonName: uploaded.Texts([]string{leaf.Issuer.CommonName}),
		SubjectOrganization: uploaded.Texts(leaf.Subject.Organization), SubjectOrganizationalUnit: uploaded.Texts(leaf.Subject.OrganizationalUnit),
		SubjectLocality: uploaded.Texts(leaf.Subject.Locality), SubjectProvince: uploaded.Texts(leaf.Subject.Province),
		SubjectCountry: uploaded.Texts(leaf.Subject.Country),
	}
	shown.SubjectAlternativeNames.DNSNames = append(shown.SubjectAlternativeNames.DNSNames, leaf.DNSNames...)
	for _, address := range leaf.IPAddresses {
		shown.SubjectAlternativeNames.IPs = append(shown.SubjectAlternativeNames.IPs, address.String())
	}
	if !row.IssuedAt.IsZero() {
		at := resource.Moment(row.IssuedAt)
		shown.IssuedAt = &at
	}
	return shown, nil
}

// storedLeaf is the first certificate of a text that was accepted.
func storedLeaf(id, text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, postern.Errorf(postern.CodeInternal, "the stored certificate %s is no PEM text", id)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, postern.Errorf(postern.CodeInternal, "the stored certificate %s cannot be read", id).Because(err)
	}
	return leaf, nil
}

func releaseCertificate(d *draft, _ Caller, row *store.TLSCertificate) error {
	domains, err := d.ReservedDomains().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.Equal("certificate_id", row.ID)})
	if err == nil && len(domains) > 0 {
		err = postern.Errorf(postern.CodeCertificateInUse, "the reserved domain %q (%s) has the certificate", domains[0].Domain, domains[0].ID)
	}
	if err != nil {
		return err
	}
	jobs, err := d.CertificateJobs().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.Equal("certificate_id", row.ID)})
	if err == nil && len(jobs) > 0 {
		err = postern.Errorf(postern.CodeCertificateInUse, "the agent ingress %q (%s) has the certificate", jobs[0].Name, jobs[0].Subject)
	}
	return err
}

// TLSKeyPair gives a certificate with its private key to whoever terminates TLS for the
// account. An unknown one is CodeNotFound.
func (s *Service) TLSKeyPair(ctx context.Context, account postern.AccountID, id string) (pair tls.Certificate, err error) {
	var row store.TLSCertificate
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		row, err = tx.TLSCertificates().Get(ctx, account, id)
		return err
	})
	if err != nil {
		return pair, err
	}
	plain, err := s.unseal(sealedCertificate, row.ID, sealedKey, row.PrivateKey)
	if err != nil {
		return pair, err
	}
	pair, err = tls.X509KeyPair([]byte(row.Chain), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: plain}))
	if err != nil {
		return pair, postern.Errorf(postern.CodeInternal, "the stored certificate %s cannot be used", id).Because(err)
	}
	return pair, nil
}
