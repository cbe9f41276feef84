package service

import (
	"context"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/store"
)

// resealPage is how many rows a transaction of a rotation reads, and at most writes:
// other writers wait for a few milliseconds.
const resealPage = 100

// sealedTable is what a rotation of the sealing key needs to know of a table with sealed
// fields. Every such table is in sealedTables.
type sealedTable struct {
	kind string // the one that seal is given

	// page returns up to limit rows in the order of their ids, up or down, from the one
	// after the given id on, "" for the first. Rows that are made while a rotation is under
	// way may be missing.
	page func(ctx context.Context, tx store.Tx, after string, limit int) ([]sealedRow, error)

	// put stores the sealed fields of a row that page returned in the same transaction.
	put func(ctx context.Context, tx store.Tx, row sealedRow) error
}

// sealedRow is the sealed part of a row. Fields that are empty hold no secret.
type sealedRow struct {
	id     string
	fields map[string][]byte // by the name that seal is given
}

// sealedTables lists all of them.
func sealedTables() []sealedTable {
	return []sealedTable{
		sealedColumn(sealedEventDestination, sealedTargetSecret, store.Tx.EventDestinations, func(d *store.EventDestination) *[]byte { return &d.Secret }),
		sealedColumn(sealedSecret, sealedValue, store.Tx.VaultSecrets, func(s *store.VaultSecret) *[]byte { return &s.Value }),
		sealedColumn(sealedCertificate, sealedKey, store.Tx.TLSCertificates, func(c *store.TLSCertificate) *[]byte { return &c.PrivateKey }),
		sealedColumn(sealedJob, sealedKey, store.Tx.CertificateJobs, func(j *store.CertificateJob) *[]byte { return &j.PrivateKey }),
		sealedColumn(sealedACMEAccount, sealedKey, store.Tx.ACMEAccounts, func(a *store.ACMEAccount) *[]byte { return &a.PrivateKey }),
		sealedColumn(sealedAuthority, sealedKey, store.Tx.SSHCertificateAuthorities, func(a *store.SSHCertificateAuthority) *[]byte { return &a.PrivateKey }),
	}
}

// sealedColumn is a table of resources with one sealed field.
func sealedColumn[R any, P store.Headed[R]](kind, field string, rows func(store.Tx) store.Rows[R], column func(P) *[]byte) sealedTable {
	return sealedTable{
		kind: kind,
		page: func(ctx context.Context, tx store.Tx, after string, limit int) ([]sealedRow, error) {
			list, err := rows(tx).List(ctx, store.Page{Before: after, Limit: limit})
			sealed := make([]sealedRow, len(list))
			for i := range list {
				row := P(&list[i])
				sealed[i] = sealedRow{id: row.Head().ID, fields: map[string][]byte{field: *column(row)}}
			}
			return sealed, err
		},
		put: func(ctx context.Context, tx store.Tx, sealed sealedRow) error {
			row, err := rows(tx).Get(ctx, "", sealed.id)
			if err != nil {
				return err
			}
			*column(&row) = sealed.fields[field]
			return rows(tx).Update(ctx, row)
		},
	}
}

// SealingRotation is what a rotation has done.
type SealingRotation struct {
	Key      seal.KeyID   // seals from now on
	Retired  []seal.KeyID // nothing is sealed with them any more
	Resealed int          // rows
}

// RotateSealing has the keyring's first key seal, seals anew all that is sealed with
// another one, and then strikes the others off the database's list. The caller has put
// the key into the ring before, and takes the retired ones out afterwards; it sees to it
// that there is one rotation at a time.
//
// Its steps are transactions of their own, and it may end after any of them: every key
// that a row is sealed with is on the list, which servers insist on when they start, and
// a second call does what is left. That no row is missed holds because
//
//   - seal reads the list in the transaction that writes the row. From the first step on,
//     whatever is written is sealed with the new key, in whichever process;
//   - so rows that the second step has passed, and rows that are made meanwhile, stay
//     sealed with the new key;
//   - the third step strikes off only after it has seen no other key in any row.
//
// A row that cannot be opened is CodeSealBroken, after all others were sealed anew; the
// older keys then stay on the list.
func (s *Service) RotateSealing(ctx context.Context) (SealingRotation, error) {
	if s.sealing == nil {
		return SealingRotation{}, errNoSealing()
	}
	done := SealingRotation{Key: s.sealing.Current()}
	var before []seal.KeyID
	err := s.change(ctx, func(d *draft) (err error) {
		if before, err = sealingKeys(d.ctx, d.Tx); err != nil {
			return err
		}
		before = slices.DeleteFunc(before, func(id seal.KeyID) bool { return id == done.Key })
		return putSealingKeys(d.ctx, d.Tx, append([]seal.KeyID{done.Key}, before...))
	})
	if err != nil {
		return done, err
	}
	var broken error
	for _, table := range s.sealed {
		n, err := s.resealTable(ctx, table, done.Key)
		done.Resealed += n
		switch {
		case postern.HasCode(err, postern.CodeSealBroken):
			broken = err
		case err != nil:
			return done, err
		}
	}
	if broken != nil {
		return done, broken
	}
	if err := s.checkResealed(ctx, done.Key); err != nil {
		return done, err
	}
	done.Retired = before
	return done, s.change(ctx, func(d *draft) error { return putSealingKeys(d.ctx, d.Tx, []seal.KeyID{done.Key}) })
}

// resealTable seals the rows of a table anew, page by page, and says how many.
func (s *Service) resealTable(ctx context.Context, table sealedTable, key seal.KeyID) (resealed int, broken error) {
	for after, more := "", true; more; {
		var last string
		var n int
		var failed error
		err := s.change(ctx, func(d *draft) error {
			n, failed = 0, nil
			rows, err := table.page(d.ctx, d.Tx, after, resealPage)
			if err != nil {
				return err
			}
			if more = len(rows) > 0; !more {
				return nil
			}
			last = rows[len(rows)-1].id
			for _, row := range rows {
				changed, err := s.resealRow(table.kind, row, key)
				switch {
				case postern.HasCode(err, postern.CodeSealBroken):
					failed = err
					continue
				case err != nil:
					return err
				case !changed:
					continue
				}
				if err := table.put(d.ctx, d.Tx, row); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			return resealed, err
		}
		resealed += n
		if failed != nil {
			broken = failed
		}
		after = last
	}
	return resealed, broken
}

// resealRow seals the fields of a row with the key, where another one has sealed them.
func (s *Service) resealRow(kind string, row sealedRow, key seal.KeyID) (changed bool, err error) {
	for field, sealed := range row.fields {
		if len(sealed) == 0 {
			continue
		}
		if id, err := seal.KeyOf(sealed); err == nil && id == key {
			continue
		}
		secret, err := s.unseal(kind, row.id, field, sealed)
		if err != nil {
			return false, err
		}
		if row.fields[field], err = s.sealing.SealWith(key, secret, seal.Row(kind, row.id, field)); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// checkResealed sees that every row is sealed with the key.
func (s *Service) checkResealed(ctx context.Context, key seal.KeyID) error {
	for _, table := range s.sealed {
		for after, more := "", true; more; {
			err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
				rows, err := table.page(ctx, tx, after, resealPage)
				if err != nil {
					return err
				}
				if more = len(rows) > 0; more {
					after = rows[len(rows)-1].id
				}
				return checkRows(table.kind, rows, key)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func checkRows(kind string, rows []sealedRow, key seal.KeyID) error {
	for _, row := range rows {
		for field, sealed := range row.fields {
			if id, err := seal.KeyOf(sealed); len(sealed) > 0 && (err != nil || id != key) {
				return postern.Errorf(postern.CodeConflict, "%s %s, %s was sealed with an older key while the key was rotated; rotate again", kind, row.id, field).Because(err)
			}
		}
	}
	return nil
}
