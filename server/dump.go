package server

import (
	"net/url"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// dumpCommand is what saves the rows that are in PostgreSQL, for a shell. The password
// is not in it: pg_dump has it from PGPASSWORD or ~/.pgpass, or asks.
func dumpCommand(source postern.Secret, target string) string {
	return "pg_dump --format=custom --no-owner --file=" + quoted(dumpFile(target)) + " " + quoted(withoutPassword(source))
}

// loadCommand is what brings them back, into a database that is there and empty.
func loadCommand(source postern.Secret, archive string) string {
	return "pg_restore --no-owner --single-transaction --dbname=" + quoted(withoutPassword(source)) + " " + quoted(dumpFile(archive))
}

// dumpFile is beside the archive.
func dumpFile(archive string) string {
	if archive == "-" {
		return "postern.dump"
	}
	return strings.TrimSuffix(strings.TrimSuffix(archive, ".gz"), ".tar") + ".dump"
}

// withoutPassword is the URL as PostgreSQL's own programs take it: they refuse
// parameters that only drivers know.
func withoutPassword(source postern.Secret) string {
	location, err := url.Parse(source.Reveal())
	if err != nil { // the configuration has no such URL
		return ""
	}
	if _, given := location.User.Password(); given {
		location.User = url.User(location.User.Username())
	}
	known := []string{"host", "hostaddr", "port", "dbname", "user", "passfile", "service", "connect_timeout",
		"sslmode", "sslrootcert", "sslcert", "sslkey", "sslsni", "channel_binding", "gssencmode", "krbsrvname", "target_session_attrs"}
	query := location.Query()
	for key := range query {
		if !slices.Contains(known, key) {
			query.Del(key)
		}
	}
	location.RawQuery = query.Encode()
	return location.String()
}

func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// dialect is the engine that c means, as manifests call it.
func (c Config) dialect() sqlstore.Dialect {
	if c.Database == "" {
		return sqlstore.SQLite
	}
	return sqlstore.PostgreSQL
}
