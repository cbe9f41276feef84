package sqlstore

import (
	"database/sql"
	"time"

	"github.com/postern-dev/postern"
)

// rotated are the columns of a rotation, NULL where there was none.
type rotated struct {
	at, until sql.NullInt64
	previous  []byte
}

func rotationColumns(r postern.Rotation) rotated {
	columns := rotated{at: nullInstant(r.At)}
	if !r.Until.IsZero() {
		columns.previous, columns.until = r.Previous[:], nullInstant(r.Until)
	}
	return columns
}

func nullInstant(at time.Time) sql.NullInt64 {
	if at.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: at.UnixMicro(), Valid: true}
}

// rotation reads the columns. A verifier without its end, which only an edited database
// has, would be good for ever; it is good for nobody.
func rotation(to *postern.Rotation, at sql.NullInt64, previous []byte, until sql.NullInt64) error {
	if at.Valid {
		to.At = instant(at.Int64)
	}
	if !until.Valid || previous == nil {
		return nil
	}
	to.Until = instant(until.Int64)
	return verifier(&to.Previous, previous)
}
