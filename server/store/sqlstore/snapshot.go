package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// NewestSchema is the version of the schema that this program brings databases to.
func NewestSchema() int64 {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return 0 // they are embedded
	}
	newest := int64(0)
	for _, entry := range entries {
		number, _, _ := strings.Cut(entry.Name(), "_")
		if version, err := strconv.ParseInt(number, 10, 64); err == nil {
			newest = max(newest, version)
		}
	}
	return newest
}

// Snapshot copies the SQLite database of e to a file that is not there yet, as it is at
// one moment, and returns the version of its schema. The database may be in use, also by
// other processes: nobody waits for the copy, which sees nothing of what is written
// meanwhile. The copy is not synced. Nothing is made or migrated at the source.
func Snapshot(ctx context.Context, e Engine, into string) (schema int64, err error) {
	e, err = e.withDefaults()
	if err != nil {
		return 0, err
	}
	path := e.Source.Reveal()
	db, err := sql.Open(e.Driver, fileURL(path, url.Values{
		"mode": {"rw"}, "_dqs": {"0"}, "_defensive": {"1"},
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", e.BusyTimeout.Milliseconds())},
	}))
	if err != nil {
		return 0, unavailable("the database driver cannot be used", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", into); err != nil {
		return 0, unavailable(fmt.Sprintf("the database %s cannot be copied to %s", path, into), err)
	}
	return InspectFile(ctx, e, into)
}

// InspectFile checks that a SQLite database that nobody uses is whole, and returns the
// version of its schema. The file is only read.
func InspectFile(ctx context.Context, e Engine, path string) (schema int64, err error) {
	db, err := sql.Open(e.Driver, fileURL(path, url.Values{
		"mode": {"ro"}, "immutable": {"1"}, "_dqs": {"0"}, "_defensive": {"1"},
		"_pragma": {"query_only(1)", "trusted_schema(0)"},
	}))
	if err != nil {
		return 0, unavailable("the database driver cannot be used", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return 0, unavailable(fmt.Sprintf("%s is no database that can be read", path), err)
	}
	if verdict != "ok" {
		return 0, postern.Errorf(postern.CodeStoreUnavailable, "the database %s is damaged: %s", path, verdict)
	}
	// goose keeps one row for each migration that is in force.
	err = db.QueryRowContext(ctx, "SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&schema)
	if err != nil {
		return 0, unavailable(fmt.Sprintf("%s is a database of something else", path), err)
	}
	return schema, nil
}

// fileURL is how SQLite is told of a file and of parameters.
func fileURL(path string, params url.Values) string {
	location := url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true}
	if !filepath.IsAbs(path) {
		location = url.URL{Scheme: "file", Opaque: url.PathEscape(filepath.ToSlash(path))}
	}
	location.RawQuery = params.Encode()
	return location.String()
}
