package storetest

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func vaults() kind[store.Vault, *store.Vault] {
	return kind[store.Vault, *store.Vault]{
		rows: store.Tx.Vaults,
		fill: func(_ context.Context, _ store.Tx, v *store.Vault, n int) error {
			v.Name, v.CreatedBy, v.UpdatedBy = fmt.Sprintf("prod/db-%d", n), "usr_1", "usr_2"
			return nil
		},
		change: func(v *store.Vault) { v.Name, v.UpdatedBy = "other", "bot_1" },
	}
}

func vaultSecrets() kind[store.VaultSecret, *store.VaultSecret] {
	return kind[store.VaultSecret, *store.VaultSecret]{
		rows: store.Tx.VaultSecrets,
		fill: func(ctx context.Context, tx store.Tx, s *store.VaultSecret, n int) error {
			s.Vault, s.Name, s.CreatedBy, s.UpdatedBy = fmt.Sprintf("vault_%d", n/2), fmt.Sprintf("password-%d", n), "usr_1", "usr_2"
			s.Value = []byte{0, byte(n), 255, '\''}
			if _, err := tx.Vaults().Get(ctx, "", s.Vault); !postern.HasCode(err, postern.CodeNotFound) {
				return err
			}
			vault := store.Vault{Meta: s.Meta, Name: s.Vault}
			vault.ID = s.Vault
			return tx.Vaults().Create(ctx, vault)
		},
		change: func(s *store.VaultSecret) { s.Name, s.Value, s.UpdatedBy = "other", []byte{1}, "bot_1" },
	}
}

func tlsCertificates() kind[store.TLSCertificate, *store.TLSCertificate] {
	return kind[store.TLSCertificate, *store.TLSCertificate]{
		rows: store.Tx.TLSCertificates,
		fill: func(_ context.Context, _ store.Tx, c *store.TLSCertificate, n int) error {
			c.Chain, c.PrivateKey, c.CommonName, c.Serial = "-----BEGIN\n", []byte{0, byte(n), 255}, "www.example.com", fmt.Sprintf("0%d", n)
			c.NotBefore, c.NotAfter = c.CreatedAt.AddDate(-1, 0, 0), c.CreatedAt.AddDate(0, 0, n)
			if n%2 == 0 {
				c.IssuedAt = c.CreatedAt
			}
			return nil
		},
		change: func(c *store.TLSCertificate) { c.Chain, c.PrivateKey, c.IssuedAt = "other", []byte{2}, c.UpdatedAt },
	}
}

func certificateAuthorities() kind[store.CertificateAuthority, *store.CertificateAuthority] {
	return kind[store.CertificateAuthority, *store.CertificateAuthority]{
		rows: store.Tx.CertificateAuthorities,
		fill: func(_ context.Context, _ store.Tx, c *store.CertificateAuthority, n int) error {
			c.Certificate, c.CommonName = "-----BEGIN\n", fmt.Sprintf("Root %d", n)
			c.NotBefore, c.NotAfter = c.CreatedAt.AddDate(-1, 0, 0), c.CreatedAt.AddDate(0, 0, n)
			if n%2 == 0 {
				c.Revocations = "-----BEGIN X509 CRL\n"
			}
			return nil
		},
		change: func(c *store.CertificateAuthority) { c.Revocations = "other" },
	}
}

func sshAuthorities() kind[store.SSHCertificateAuthority, *store.SSHCertificateAuthority] {
	return kind[store.SSHCertificateAuthority, *store.SSHCertificateAuthority]{
		rows: store.Tx.SSHCertificateAuthorities,
		fill: func(_ context.Context, _ store.Tx, a *store.SSHCertificateAuthority, n int) error {
			a.KeyType, a.PublicKey, a.PrivateKey = "ed25519", "ssh-ed25519 AAAA", []byte{0, byte(n), 255}
			return nil
		},
		change: func(a *store.SSHCertificateAuthority) { a.PrivateKey = []byte{1} },
	}
}

func sshCertificates(rows func(store.Tx) store.Rows[store.SSHCertificate]) kind[store.SSHCertificate, *store.SSHCertificate] {
	return kind[store.SSHCertificate, *store.SSHCertificate]{
		rows: rows,
		fill: func(ctx context.Context, tx store.Tx, c *store.SSHCertificate, n int) error {
			c.Authority, c.PublicKey, c.KeyType = fmt.Sprintf("sshca_%d", n), "ssh-ed25519 AAAA me", "ed25519"
			c.Principals, c.CriticalOptions, c.Extensions = []string{"alice", "bob"}, map[string]string{}, map[string]string{"permit-pty": ""}
			c.ValidAfter, c.ValidUntil, c.Certificate = c.CreatedAt, c.CreatedAt.AddDate(1, 0, 0), "ssh-ed25519-cert-v01@openssh.com AAAA"
			authority := store.SSHCertificateAuthority{Meta: c.Meta, PrivateKey: []byte{1}}
			authority.ID = c.Authority
			return tx.SSHCertificateAuthorities().Create(ctx, authority)
		},
	}
}
