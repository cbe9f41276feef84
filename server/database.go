package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"; only this package names one
	_ "modernc.org/sqlite"             // the driver "sqlite", too

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// masked stands for a password where a URL is shown.
const masked = "xxxxx"

// databaseSetting is the one key that holds a secret.
func databaseSetting() Setting {
	setting := scalar("database", "URL", "Where PostgreSQL keeps what is stored: postgres://USER:PASSWORD@HOST/DATABASE, with sslmode=verify-full across a network; empty is SQLite in data_dir. It holds a password: give it in the file or as POSTERN_DATABASE, for flags can be seen by everybody on the machine.",
		func(c *Config) *postern.Secret { return &c.Database }, parseDatabase, showDatabase)
	setting.same = func(a, b Config) bool { return a.Database.Equal(b.Database) }
	return setting
}

// parseDatabase never quotes what it was given: it may hold a password, wherever in it
// that has ended up.
func parseDatabase(s string) (postern.Secret, error) {
	if s == "" {
		return "", nil
	}
	location, err := url.Parse(s)
	if err != nil {
		return "", errors.New("not a URL; write postgres://USER:PASSWORD@HOST/DATABASE, where a password's special characters are written as %40 for @, %2F for / and so on")
	}
	if location.Scheme != "postgres" && location.Scheme != "postgresql" || location.Opaque != "" {
		return "", errors.New("not a PostgreSQL URL; write postgres://USER:PASSWORD@HOST/DATABASE, or leave it empty for SQLite in data_dir")
	}
	if _, err := pgx.ParseConfig(s); err != nil {
		return "", errors.New(driverReason(err, location))
	}
	return postern.Secret(s), nil
}

// driverReason is what the driver has against a URL, without the URL.
func driverReason(err error, location *url.URL) string {
	reason := err.Error() // "cannot parse `…`: why"
	if at := strings.LastIndex(reason, "`: "); at >= 0 {
		reason = reason[at+len("`: "):]
	}
	for _, secret := range databaseSecrets(location) {
		if strings.Contains(reason, secret) {
			return "the driver cannot use this URL"
		}
	}
	return clip(reason)
}

// databaseSecrets are the parts of a URL that nobody may see.
func databaseSecrets(location *url.URL) []string {
	password, _ := location.User.Password()
	secrets := append(location.Query()["password"], location.Query()["sslpassword"]...)
	return slices.DeleteFunc(append(secrets, password), func(s string) bool { return s == "" })
}

// showDatabase is the URL without its secrets.
func showDatabase(source postern.Secret) string {
	location, err := url.Parse(source.Reveal())
	if err != nil || location.Scheme != "postgres" && location.Scheme != "postgresql" || location.Opaque != "" {
		return source.String()
	}
	if _, given := location.User.Password(); given {
		location.User = url.UserPassword(location.User.Username(), masked)
	}
	query := location.Query()
	for _, key := range []string{"password", "sslpassword"} {
		if query.Has(key) {
			query.Set(key, masked)
			location.RawQuery = query.Encode()
		}
	}
	return location.String()
}

// database says which database c means: PostgreSQL where it names one, else SQLite in
// the directory.
func (c Config) database(dir *dataDir) sqlstore.Engine {
	if c.Database == "" {
		return databaseEngine(dir.file(databaseName))
	}
	return sqlstore.Engine{Dialect: sqlstore.PostgreSQL, Driver: "pgx", Source: c.Database}
}

// databaseEngine opens the SQLite database at path.
func databaseEngine(path string) sqlstore.Engine {
	return sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite", Source: postern.Secret(path), BusyTimeout: busyTime}
}

// commandLine answers as pprof's page of that name does, without the secrets that flags
// may hold.
func commandLine(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = fmt.Fprint(w, strings.Join(withoutSecrets(os.Args), "\x00")) // who asked may be gone
}

// showSecretFlag is how the value of a flag is shown; nil: as it is.
func showSecretFlag(argument string) func(postern.Secret) string {
	flag, isFlag := strings.CutPrefix(argument, "-")
	flag = strings.TrimPrefix(flag, "-")
	if !isFlag {
		return nil
	}
	if flag == "database" {
		return showDatabase
	}
	for _, setting := range Settings() {
		if setting.secret && setting.Flag() == flag {
			return func(postern.Secret) string { return masked }
		}
	}
	return nil
}

func withoutSecrets(args []string) []string {
	shown := slices.Clone(args)
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		show := showSecretFlag(name)
		switch {
		case show == nil:
		case joined:
			shown[i] = name + "=" + show(postern.Secret(value))
		case i+1 < len(args):
			shown[i+1] = show(postern.Secret(args[i+1]))
		}
	}
	return shown
}
