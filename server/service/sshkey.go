package service

import (
	"context"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const sshCredentialPrefix = "sshcr"

// isSSHCredential tells an SSH credential from an authtoken's: agents' sessions have
// either.
func isSSHCredential(id postern.CredentialID) bool {
	return strings.HasPrefix(string(id), sshCredentialPrefix+"_")
}

// AuthenticateSSHKey returns the SSH credential and the account that a public key belongs
// to, in SSH's wire form (RFC 4253 §6.6). Whoever calls it has seen, or is about to see,
// a proof that the peer has the private key. Errors: CodeSSHKeyUnknown for a key that is
// nobody's or was deleted, CodeOwnerInactive, and CodeStoreUnavailable while the store is
// down and the key is not known to this process.
func (s *Service) AuthenticateSSHKey(ctx context.Context, key []byte) (postern.Credential, postern.Account, error) {
	parsed, err := ssh.ParsePublicKey(key)
	if err != nil {
		return postern.Credential{}, postern.Account{}, postern.Errorf(postern.CodeSSHKeyUnknown, "this is no public key").Because(err)
	}
	fingerprint := ssh.FingerprintSHA256(parsed)
	found, _, err := s.lookUp(ctx, func(ctx context.Context, tx store.Tx) (holder, error) {
		rows, err := tx.SSHCredentials().List(ctx, store.Page{Limit: 1, Where: store.Equal("fingerprint", fingerprint)})
		if err == nil && len(rows) == 0 {
			err = keyUnknown(fingerprint)
		}
		if err != nil {
			return holder{}, err
		}
		return keyHolder(rows[0]), nil
	}, func() (holder, bool) { return s.known.holderOf(fingerprint) })
	switch {
	case err != nil:
		return postern.Credential{}, postern.Account{}, err
	case found.credential.ID == "" || found.revoked:
		return postern.Credential{}, postern.Account{}, keyUnknown(fingerprint)
	case found.idle:
		return postern.Credential{}, postern.Account{}, ownerInactive(found.credential.Owner)
	}
	return found.credential, found.account, nil
}

func keyUnknown(fingerprint string) error {
	return postern.Errorf(postern.CodeSSHKeyUnknown, "the key %s is not an SSH credential of this server", fingerprint)
}

// keyHolder is what a row says of who has its key. Nobody's token has the verifier, which
// is zero: authtokens are looked up elsewhere.
func keyHolder(row store.SSHCredential) holder {
	return holder{key: row.Fingerprint, credential: postern.Credential{
		ID: postern.CredentialID(row.ID), Account: row.Account, Owner: row.Owner, Description: row.Description, Metadata: row.Metadata,
		ACL: row.ACL, CreatedAt: row.CreatedAt,
	}}
}

// keyChanged has the memory follow once a new or changed row is stored.
func (s *Service) keyChanged(d *draft, row *store.SSHCredential) error {
	account, err := d.Accounts().Get(d.ctx, row.Account)
	if err != nil {
		return err
	}
	d.committed = append(d.committed, func() {
		h := keyHolder(*row)
		h.account = account
		s.known.change(h)
	})
	return nil
}

// recallKeys reads the SSH credentials into memory.
func (s *Service) recallKeys(ctx context.Context, tx store.Tx, accounts map[postern.AccountID]postern.Account) error {
	before := ""
	idle := make(map[postern.UserID]bool)
	for range maxKnown / page {
		rows, err := tx.SSHCredentials().List(ctx, store.Page{Before: before, Limit: page})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			account, seen := accounts[row.Account]
			if !seen {
				if account, err = tx.Accounts().Get(ctx, row.Account); err != nil {
					return err
				}
				accounts[row.Account] = account
			}
			if _, seen := idle[row.Owner]; !seen {
				owner, err := tx.Users().Get(ctx, row.Account, string(row.Owner))
				if err != nil {
					return err
				}
				idle[row.Owner] = !owner.Serves()
			}
			h := keyHolder(row)
			h.account, h.idle = account, idle[row.Owner]
			s.known.learn(h, s.known.now())
			before = row.ID
		}
	}
	return nil
}
