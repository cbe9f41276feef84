package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/postern-dev/postern"
)

//go:embed migrations/*.sql
var migrations embed.FS

// forSQLite drops what SQLite has no use for (its text is always compared as bytes)
// and renames what it calls otherwise.
var forSQLite = strings.NewReplacer(
	` COLLATE "C"`, "",
	"BYTEA", "BLOB",
)

// migrate brings the schema up to date.
func migrate(ctx context.Context, e Engine, db *sql.DB) error {
	provider, err := newProvider(e, db)
	if err != nil {
		return unavailable("the migrations cannot be read", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return unavailable("the database's version cannot be read", err)
	}
	if current > newest {
		return postern.Errorf(postern.CodeStoreNewer,
			"the database is at version %d, this program knows versions up to %d", current, newest)
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return unavailable("the database cannot be brought up to date", err)
	}
	if len(applied) > 0 {
		e.Logger.InfoContext(ctx, "database migrated", "from", current, "to", applied[len(applied)-1].Source.Version)
	}
	return nil
}

func newProvider(e Engine, db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectPostgres
	if e.Dialect == SQLite {
		dialect = goose.DialectSQLite3
		dir = rewritten{dir, forSQLite}
	}
	return goose.NewProvider(dialect, db, dir,
		goose.WithSlog(slog.New(details{e.Logger.Handler()})), goose.WithVerbose(true), goose.WithDisableGlobalRegistry(true))
}

// details logs at debug what goose says at info: a line per statement.
type details struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d details) Enabled(ctx context.Context, level slog.Level) bool {
	return d.Handler.Enabled(ctx, detailLevel(level))
}

// Handle implements slog.Handler.
func (d details) Handle(ctx context.Context, r slog.Record) error {
	r.Level = detailLevel(r.Level)
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d details) WithAttrs(attrs []slog.Attr) slog.Handler {
	return details{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d details) WithGroup(name string) slog.Handler { return details{d.Handler.WithGroup(name)} }

func detailLevel(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// rewritten is a file system whose .sql files have words replaced.
type rewritten struct {
	fs.FS
	replacer *strings.Replacer
}

// Open implements fs.FS.
func (r rewritten) Open(name string) (fs.File, error) {
	file, err := r.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return file, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return rewrittenFile{file, bytes.NewReader([]byte(r.replacer.Replace(string(text))))}, nil
}

// rewrittenFile is the original file but for its contents.
type rewrittenFile struct {
	fs.File
	contents *bytes.Reader
}

func (f rewrittenFile) Read(p []byte) (int, error) { return f.contents.Read(p) }
