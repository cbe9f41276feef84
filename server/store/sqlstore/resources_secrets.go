package sqlstore

import "github.com/postern-dev/postern/server/store"

// The tables of what has secrets. Sealed columns are opaque: filters cannot ask for them.

func (t tx) Vaults() store.Rows[store.Vault] {
	return rowsOf(t, table[store.Vault, *store.Vault]{
		name: "vaults", what: "vault",
		columns: headColumns(column{"name", text}, column{"created_by", text}, column{"updated_by", text}),
		fields:  func(v *store.Vault) []any { return headFields(&v.Meta, &v.Name, &v.CreatedBy, &v.UpdatedBy) },
	})
}

func (t tx) VaultSecrets() store.Rows[store.VaultSecret] {
	return rowsOf(t, table[store.VaultSecret, *store.VaultSecret]{
		name: "vault_secrets", what: "secret",
		columns: headColumns(column{"vault_id", text}, column{"name", text}, column{"value", opaque}, column{"created_by", text}, column{"updated_by", text}),
		fields: func(s *store.VaultSecret) []any {
			return headFields(&s.Meta, &s.Vault, &s.Name, &s.Value, &s.CreatedBy, &s.UpdatedBy)
		},
	})
}

func (t tx) TLSCertificates() store.Rows[store.TLSCertificate] {
	return rowsOf(t, table[store.TLSCertificate, *store.TLSCertificate]{
		name: "tls_certificates", what: "TLS certificate",
		columns: headColumns(
			column{"chain", text}, column{"private_key", opaque}, column{"subject_common_name", text}, column{"serial_number", text},
			column{"not_before", moment}, column{"not_after", moment}, column{"issued_at", moment}),
		fields: func(c *store.TLSCertificate) []any {
			return headFields(&c.Meta, &c.Chain, &c.PrivateKey, &c.CommonName, &c.Serial,
				micros{&c.NotBefore}, micros{&c.NotAfter}, maybe{&c.IssuedAt})
		},
	})
}

func (t tx) CertificateAuthorities() store.Rows[store.CertificateAuthority] {
	return rowsOf(t, table[store.CertificateAuthority, *store.CertificateAuthority]{
		name: "certificate_authorities", what: "certificate authority",
		columns: headColumns(
			column{"certificate", text}, column{"subject_common_name", text}, column{"not_before", moment}, column{"not_after", moment},
			column{"revocation_lists", text}),
		fields: func(c *store.CertificateAuthority) []any {
			return headFields(&c.Meta, &c.Certificate, &c.CommonName, micros{&c.NotBefore}, micros{&c.NotAfter}, &c.Revocations)
		},
	})
}

func (t tx) SSHCertificateAuthorities() store.Rows[store.SSHCertificateAuthority] {
	return rowsOf(t, table[store.SSHCertificateAuthority, *store.SSHCertificateAuthority]{
		name: "ssh_certificate_authorities", what: "SSH certificate authority",
		columns: headColumns(column{"key_type", text}, column{"public_key", text}, column{"private_key", opaque}),
		fields: func(a *store.SSHCertificateAuthority) []any {
			return headFields(&a.Meta, &a.KeyType, &a.PublicKey, &a.PrivateKey)
		},
	})
}

func (t tx) SSHHostCertificates() store.Rows[store.SSHCertificate] {
	return rowsOf(t, sshCertificates("ssh_host_certificates", "SSH host certificate"))
}

func (t tx) SSHUserCertificates() store.Rows[store.SSHCertificate] {
	return rowsOf(t, sshCertificates("ssh_user_certificates", "SSH user certificate"))
}

func sshCertificates(name, what string) table[store.SSHCertificate, *store.SSHCertificate] {
	return table[store.SSHCertificate, *store.SSHCertificate]{
		name: name, what: what,
		columns: headColumns(
			column{"authority_id", text}, column{"public_key", text}, column{"key_type", text},
			column{"principals", opaque}, column{"critical_options", opaque}, column{"extensions", opaque},
			column{"valid_after", moment}, column{"valid_until", moment}, column{"certificate", text}),
		fields: func(c *store.SSHCertificate) []any {
			return headFields(&c.Meta, &c.Authority, &c.PublicKey, &c.KeyType,
				document[[]string]{&c.Principals}, document[map[string]string]{&c.CriticalOptions}, document[map[string]string]{&c.Extensions},
				micros{&c.ValidAfter}, micros{&c.ValidUntil}, &c.Certificate)
		},
	}
}
