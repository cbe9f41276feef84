package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// migrationLock is the advisory lock of whoever changes the schema: any number that
	// other programs on the same database are unlikely to use.
	migrationLock = 0x706f737465726e // "postern"
	// migrationTime bounds all changes of the schema together.
	migrationTime = 15 * time.Minute
)

// purpose is what a connection is for.
type purpose int

const (
	forWriting purpose = iota
	forReading
	forMigrating
)

// The server ends what its client has given up: a machine that vanished in the middle
// of a transaction must not hold everybody's lock until TCP notices. Operators override
// each by naming it in the URL.
func sessionDefaults(p purpose) map[string]string {
	session := map[string]string{
		"application_name":                    "postern",
		"connect_timeout":                     "5",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "1min",
	}
	switch p {
	case forReading:
		session["default_transaction_read_only"] = "on"
	case forMigrating:
		session["statement_timeout"] = "0" // a large table takes as long as it takes
		session["lock_timeout"] = "1min"   // another server migrates, or an old one is busy
	}
	return session
}

// postgresSource is the URL with the session's defaults.
func postgresSource(source postern.Secret, p purpose) (string, error) {
	location, err := url.Parse(source.Reveal())
	if err != nil || location.Scheme != "postgres" && location.Scheme != "postgresql" {
		// The text is not quoted: it may hold a password, wherever that went.
		return "", postern.Errorf(postern.CodeConfigInvalid, "the database's source is not a URL such as postgres://user:password@host/database")
	}
	query := location.Query()
	for key, value := range sessionDefaults(p) {
		if !query.Has(key) || p == forMigrating && strings.HasSuffix(key, "_timeout") && key != "connect_timeout" {
			query.Set(key, value)
		}
	}
	location.RawQuery = query.Encode()
	return location.String(), nil
}

func (e Engine) postgresPool(p purpose, connections int) (*sql.DB, error) {
	source, err := postgresSource(e.Source, p)
	if err != nil {
		return nil, err
	}
	pool, err := sql.Open(e.Driver, source)
	if err != nil {
		return nil, unavailable("the database driver cannot be used", e.withoutSecrets(err))
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	// A connection that a proxy or a failover has cut silently is not kept for ever, and
	// a name that points to another machine by now is looked up again.
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(time.Hour)
	return pool, nil
}

// postgresPools keeps writers and readers apart, so that who reads never waits for who
// writes. One connection writes: writers of one server would wait for each other's lock
// anyway, and whoever waits in the pool obeys its context.
func (e Engine) postgresPools() (write, read *sql.DB, err error) {
	write, err = e.postgresPool(forWriting, 1)
	if err != nil {
		return nil, nil, err
	}
	read, err = e.postgresPool(forReading, e.Readers)
	if err != nil {
		_ = write.Close()
		return nil, nil, err
	}
	return write, read, nil
}

// migratePostgres brings the schema up to date while no other server does.
func (e Engine) migratePostgres(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, migrationTime)
	defer cancel()
	db, err := e.postgresPool(forMigrating, 2) // the lock's, and goose's
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // ends the session, and with it the lock
	conn, err := db.Conn(ctx)
	if err != nil {
		return e.connectError(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return unavailable("the database's lock for changes of the schema cannot be had; another server may be bringing it up to date", err)
	}
	if err := migrate(ctx, e, db); err != nil {
		return err
	}
	// Before the sessions end, so that whoever waits goes on at once.
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock)); err != nil {
		return unavailable("the database does not answer", err)
	}
	return nil
}

// connectError says why there is no connection, naming what the operator can change.
func (e Engine) connectError(err error) error {
	where, database := "the default address", ""
	if location, bad := url.Parse(e.Source.Reveal()); bad == nil {
		if location.Host != "" {
			where = location.Host
		}
		database = strings.TrimPrefix(location.Path, "/")
	}
	var refusal postgresError
	if !errors.As(err, &refusal) {
		return postern.Errorf(postern.CodeStoreUnavailable, "the database at %s cannot be reached: %v", where, leaf(e.withoutSecrets(err))).
			Because(e.withoutSecrets(err))
	}
	says := "the database at " + where + " takes no connection"
	switch refusal.SQLState() {
	case postgresWrongPassword, postgresNotAuthorised:
		says = "the database at " + where + " refuses the user or the password of the URL"
	case postgresNoDatabase:
		says = "the server at " + where + ` has no database "` + database + `"; create it first`
	}
	return unavailable(says, e.withoutSecrets(err))
}

// leaf is the innermost error, which says what happened; those around it say on which
// way.
func leaf(err error) error {
	for {
		switch wrapper := err.(type) { //nolint:errorlint // this walks the chain itself
		case interface{ Unwrap() []error }:
			if all := wrapper.Unwrap(); len(all) > 0 {
				err = all[0]
				continue
			}
		case interface{ Unwrap() error }:
			if inner := wrapper.Unwrap(); inner != nil {
				err = inner
				continue
			}
		}
		return err
	}
}

// withoutSecrets replaces an error that holds a password, in its text or within, as
// drivers' do that cannot read a URL.
func (e Engine) withoutSecrets(err error) error {
	location, bad := url.Parse(e.Source.Reveal())
	if bad != nil {
		return errors.New("the URL cannot be read")
	}
	secrets := []string{location.Query().Get("password"), location.Query().Get("sslpassword")}
	if password, given := location.User.Password(); given {
		secrets = append(secrets, password)
	}
	inside := fmt.Sprintf("%#v", err)
	for _, secret := range secrets {
		for _, spelling := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if spelling != "" && strings.Contains(inside, spelling) {
				if text := leaf(err).Error(); !strings.Contains(text, spelling) {
					return errors.New(text)
				}
				return errors.New("the URL cannot be used")
			}
		}
	}
	return err
}
