package service

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// maxPublicKey is the longest line with an SSH public key, in bytes: an RSA key of 16384
// bits fits.
const maxPublicKey = 4096

// SSHCredentials are the use cases of SSH credentials. Who may not administer the account
// makes, changes and deletes their own.
//
// Nobody is admitted with a deleted one from the moment Delete returns, and binds obey a
// new ACL from the moment Update does; live sessions learn of both by
// event.SSHCredentialDeleted and event.SSHCredentialUpdated on the bus.
type SSHCredentials = Collection[store.SSHCredential, resource.SSHCredential, resource.SSHCredentialCreate, resource.SSHCredentialUpdate, *store.SSHCredential]

// SSHCredentials returns the use cases of SSH credentials.
func (s *Service) SSHCredentials() *SSHCredentials {
	return &SSHCredentials{
		service: s, definition: resource.SSHCredentials().Definition, rows: store.Tx.SSHCredentials,
		events: eventTypes{event.SSHCredentialCreated, event.SSHCredentialUpdated, event.SSHCredentialDeleted},
		build: func(d *draft, by Caller, row *store.SSHCredential, c resource.SSHCredentialCreate) error {
			if err := buildSSHCredential(d, by, row, c); err != nil {
				return err
			}
			return s.keyChanged(d, row)
		},
		change: func(d *draft, by Caller, row *store.SSHCredential, u resource.SSHCredentialUpdate) (err error) {
			if err := by.mayChangeOf(row.Owner); err != nil {
				return err
			}
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			if u.ACL != nil {
				if row.ACL, err = parseACL(*u.ACL); err != nil {
					return err
				}
			}
			if err := sameOwner(postern.CodeSSHCredentialOwnerFixed, row.Owner, u.OwnerID); err != nil {
				return err
			}
			return s.keyChanged(d, row)
		},
		release: func(d *draft, by Caller, row *store.SSHCredential) error {
			id := postern.CredentialID(row.ID)
			d.committed = append(d.committed, func() { s.known.revoke(id) })
			return by.mayChangeOf(row.Owner)
		},
		show: func(_ reader, row *store.SSHCredential) (resource.SSHCredential, error) {
			return s.showSSHCredential(row), nil
		},
		stored: map[string]string{"owner_id": "owner_id", "public_key": "public_key"},
	}
}

func (s *Service) showSSHCredential(row *store.SSHCredential) resource.SSHCredential {
	owner := string(row.Owner)
	return resource.SSHCredential{
		Identity: s.identity(resource.SSHCredentials().Definition, &row.Meta), Notes: notes(&row.Meta),
		PublicKey: row.PublicKey, ACL: row.ACL.Strings(), OwnerID: &owner,
	}
}

func buildSSHCredential(d *draft, by Caller, row *store.SSHCredential, c resource.SSHCredentialCreate) error {
	owner, err := d.ownerFor(by, ownerChoice{id: c.OwnerID, email: c.OwnerEmail})
	if err != nil {
		return err
	}
	row.Owner, row.Description, row.Metadata = postern.UserID(owner.ID), c.Description, c.Metadata
	if row.PublicKey, row.Fingerprint, err = parsePublicKey(c.PublicKey); err != nil {
		return err
	}
	if row.ACL, err = parseACL(c.ACL); err != nil {
		return err
	}
	same, err := d.SSHCredentials().List(d.ctx, store.Page{Limit: 1, Where: store.Equal("fingerprint", row.Fingerprint)})
	switch {
	case err != nil || len(same) == 0:
		return err
	case same[0].Account == row.Account:
		return postern.Errorf(postern.CodeSSHCredentialYours, "the account has the key %s already: %s", row.Fingerprint, same[0].ID)
	default:
		return postern.Errorf(postern.CodeSSHCredentialTaken, "the key %s is in another account", row.Fingerprint)
	}
}

// parsePublicKey reads a line of an authorized_keys file (sshd(8)). Options do not mean
// anything here and are refused, so that nobody believes that they do; a comment stays.
func parsePublicKey(text string) (line, fingerprint string, err error) {
	line = strings.TrimSpace(text)
	if line == "" {
		return "", "", postern.Errorf(postern.CodePublicKeyMissing, "the field \"public_key\" is missing or empty")
	}
	if err := checkText("public_key", line, maxPublicKey); err != nil {
		return "", "", postern.Errorf(postern.CodePublicKeyInvalid, "%s", postern.AsError(err).Text())
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return "", "", postern.Errorf(postern.CodePublicKeyInvalid, "this is a private key; the public one is in the file that ends in .pub")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return "", "", postern.Errorf(postern.CodePublicKeyInvalid, "public_key is %.60q; it must be a line such as \"ssh-ed25519 AAAA…\"", line).Because(err)
	}
	_, certificate := key.(*ssh.Certificate)
	if certificate || len(options) > 0 || len(rest) > 0 || strings.ContainsAny(line, "\r\n") {
		return "", "", postern.Errorf(postern.CodePublicKeyInvalid, "public_key must be one key without options, and no certificate")
	}
	return line, ssh.FingerprintSHA256(key), nil
}
