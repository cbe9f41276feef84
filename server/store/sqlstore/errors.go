package sqlstore

import (
	"errors"

	"github.com/postern-dev/postern"
)

// Drivers are not imported here; their errors are known by their methods.
type (
	sqliteError   interface{ Code() int }        // an extended result code, https://sqlite.org/rescode.html
	postgresError interface{ SQLState() string } // https://www.postgresql.org/docs/current/errcodes-appendix.html
)

const (
	sqliteBusy    = 5
	sqlitePrimary = 0xff // the part of a code that tells its kind

	sqliteConstraintForeignKey = 787
	sqliteConstraintPrimaryKey = 1555
	sqliteConstraintUnique     = 2067

	postgresForeignKey = "23503"
	postgresUnique     = "23505"

	postgresNotAuthorised = "28000"
	postgresWrongPassword = "28P01"
	postgresNoDatabase    = "3D000"
)

// translate gives a database's error its code; nil and errors with a code stay.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var coded *postern.Error
	if errors.As(err, &coded) {
		return err
	}
	switch violation(err) {
	case sqliteConstraintUnique:
		return postern.Errorf(postern.CodeConflict, "it exists already").Because(err)
	case sqliteConstraintForeignKey:
		return postern.Errorf(postern.CodeNotFound, "something that it refers to does not exist").Because(err)
	}
	return unavailable("the store does not answer", err)
}

// violation says which constraint was broken, in SQLite's codes; 0 is none.
func violation(err error) int {
	var lite sqliteError
	if errors.As(err, &lite) {
		switch lite.Code() {
		case sqliteConstraintUnique, sqliteConstraintPrimaryKey:
			return sqliteConstraintUnique
		case sqliteConstraintForeignKey:
			return sqliteConstraintForeignKey
		}
	}
	var postgres postgresError
	if errors.As(err, &postgres) {
		switch postgres.SQLState() {
		case postgresUnique:
			return sqliteConstraintUnique
		case postgresForeignKey:
			return sqliteConstraintForeignKey
		}
	}
	return 0
}

func unavailable(message string, cause error) error {
	return postern.Errorf(postern.CodeStoreUnavailable, "%s", message).Because(cause)
}
