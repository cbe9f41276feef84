package e2e_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"

	ngrokapi "github.com/ngrok/ngrok-api-go/v9"
	"github.com/ngrok/ngrok-api-go/v9/ssh_credentials"
	"github.com/ngrok/ngrok-api-go/v9/ssh_host_certificates"
	"github.com/ngrok/ngrok-api-go/v9/ssh_user_certificates"
)

func (a apiDriver) driveVaults(t *testing.T) {
	c := a.vaults()
	driven[ngrokapi.Vault]{
		create: func(ctx context.Context, n int) (*ngrokapi.Vault, error) {
			return c.Create(ctx, &ngrokapi.VaultCreate{Name: fmt.Sprintf("vault-%d", n)})
		},
		get: c.Get, remove: c.Delete, marked: "name",
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.Vault] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.Vault, error) {
			return c.Update(ctx, &ngrokapi.VaultUpdate{ID: id, Name: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveSecrets(t *testing.T) {
	vault, err := a.vaults().Create(t.Context(), &ngrokapi.VaultCreate{Name: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	c := a.secrets()
	create := func(ctx context.Context, n int) (*ngrokapi.Secret, error) {
		return c.Create(ctx, &ngrokapi.SecretCreate{Name: fmt.Sprintf("secret-%d", n), Value: "v", VaultID: vault.ID})
	}
	driven[ngrokapi.Secret]{
		create: create, get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.Secret] { return c.List(paging(limit, filter)) },
		update: func(ctx context.Context, id, text string) (*ngrokapi.Secret, error) {
			return c.Update(ctx, &ngrokapi.SecretUpdate{ID: id, Description: &text, Value: ngrokapi.String("w")})
		},
	}.drive(t)
	// The same list, of one vault.
	driven[ngrokapi.Secret]{
		create: create, get: c.Get, remove: c.Delete, unfiltered: true,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.Secret] {
			return a.vaults().GetSecretsByVault(vault.ID, &ngrokapi.Paging{Limit: limit})
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.Secret, error) {
			return c.Update(ctx, &ngrokapi.SecretUpdate{ID: id, Description: &text})
		},
	}.drive(t)
	if _, err := create(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	if err := a.vaults().Delete(t.Context(), vault.ID); !ngrokapi.IsErrorCode(err, 23003) {
		t.Errorf("a vault with a secret is deleted: %v", err)
	}
}

func (a apiDriver) driveCertificates(t *testing.T) {
	c := a.certificates()
	driven[ngrokapi.TLSCertificate]{
		create: func(ctx context.Context, n int) (*ngrokapi.TLSCertificate, error) {
			certificate, _ := selfSigned(t, fmt.Sprintf("www%d.example.com", n))
			chain, key := pairText(t, certificate)
			made, err := c.Create(ctx, &ngrokapi.TLSCertificateCreate{CertificatePEM: chain, PrivateKeyPEM: key})
			if err == nil && (made.CertificatePEM != chain || made.IssuedAt != nil || made.PrivateKeyType != "ecdsa" || len(made.SubjectAlternativeNames.DNSNames) != 1) {
				err = fmt.Errorf("another certificate: %+v", made)
			}
			return made, err
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.TLSCertificate] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.TLSCertificate, error) {
			return c.Update(ctx, &ngrokapi.TLSCertificateUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveAuthorities(t *testing.T) {
	c := a.authorities()
	driven[ngrokapi.CertificateAuthority]{
		create: func(ctx context.Context, n int) (*ngrokapi.CertificateAuthority, error) {
			certificate, _ := selfSigned(t, fmt.Sprint("Root ", n), func(c *x509.Certificate) {
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
			})
			chain, _ := pairText(t, certificate)
			return c.Create(ctx, &ngrokapi.CertificateAuthorityCreate{CAPEM: chain})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.CertificateAuthority] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.CertificateAuthority, error) {
			return c.Update(ctx, &ngrokapi.CertificateAuthorityUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveSSHAuthorities(t *testing.T) {
	c := a.sshAuthorities()
	driven[ngrokapi.SSHCertificateAuthority]{
		create: func(ctx context.Context, n int) (*ngrokapi.SSHCertificateAuthority, error) {
			return c.Create(ctx, []*ngrokapi.SSHCertificateAuthorityCreate{
				{}, {PrivateKeyType: "ecdsa", EllipticCurve: "p384"}, {PrivateKeyType: "rsa", KeySize: 2048},
			}[n])
		},
		get: c.Get, remove: c.Delete, shared: true,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.SSHCertificateAuthority] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.SSHCertificateAuthority, error) {
			return c.Update(ctx, &ngrokapi.SSHCertificateAuthorityUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

// sshAuthority makes one for certificates.
func (a apiDriver) sshAuthority(t *testing.T) *ngrokapi.SSHCertificateAuthority {
	t.Helper()
	made, err := a.sshAuthorities().Create(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (a apiDriver) driveSSHCredentials(t *testing.T) {
	c := ssh_credentials.NewClient(a.ClientConfig)
	driven[ngrokapi.SSHCredential]{
		create: func(ctx context.Context, n int) (*ngrokapi.SSHCredential, error) {
			return c.Create(ctx, &ngrokapi.SSHCredentialCreate{PublicKey: a.sshAuthority(t).PublicKey, Description: fmt.Sprint("laptop ", n)})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, filter *string) ngrokapi.Iter[*ngrokapi.SSHCredential] {
			return c.List(paging(limit, filter))
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.SSHCredential, error) {
			return c.Update(ctx, &ngrokapi.SSHCredentialUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveHosts(t *testing.T) {
	c, authority := ssh_host_certificates.NewClient(a.ClientConfig), a.sshAuthority(t)
	driven[ngrokapi.SSHHostCertificate]{
		create: func(ctx context.Context, n int) (*ngrokapi.SSHHostCertificate, error) {
			return c.Create(ctx, &ngrokapi.SSHHostCertificateCreate{SSHCertificateAuthorityID: authority.ID,
				PublicKey: authority.PublicKey, Principals: []string{fmt.Sprintf("db%d.example.com", n)}, ValidUntil: "2131-01-01T00:00:00Z"})
		},
		get: c.Get, remove: c.Delete, unfiltered: true,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.SSHHostCertificate] {
			return c.List(&ngrokapi.Paging{Limit: limit})
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.SSHHostCertificate, error) {
			return c.Update(ctx, &ngrokapi.SSHHostCertificateUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

func (a apiDriver) driveUsers(t *testing.T) {
	c, authority := ssh_user_certificates.NewClient(a.ClientConfig), a.sshAuthority(t)
	driven[ngrokapi.SSHUserCertificate]{
		create: func(ctx context.Context, n int) (*ngrokapi.SSHUserCertificate, error) {
			made, err := c.Create(ctx, &ngrokapi.SSHUserCertificateCreate{SSHCertificateAuthorityID: authority.ID,
				PublicKey: authority.PublicKey, Principals: []string{fmt.Sprint("user", n)}, CriticalOptions: map[string]string{"force-command": "uptime"}})
			if err == nil && (len(made.Extensions) != 2 || made.CriticalOptions["force-command"] != "uptime") {
				err = fmt.Errorf("other permissions: %+v", made)
			}
			return made, err
		},
		get: c.Get, remove: c.Delete, unfiltered: true,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.SSHUserCertificate] {
			return c.List(&ngrokapi.Paging{Limit: limit})
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.SSHUserCertificate, error) {
			return c.Update(ctx, &ngrokapi.SSHUserCertificateUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}
