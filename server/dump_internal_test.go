package server

import (
	"testing"

	"github.com/postern-dev/postern"
)

// The commands can be pasted into a shell and have no password, and nothing that
// PostgreSQL's programs do not know.
func TestDumpCommands(t *testing.T) {
	for _, test := range []struct{ source, target, dump, load string }{
		{"postgres://u:s3cret@db:5433/postern?sslmode=verify-full&pool_max_conns=3", "/b/postern.tar.gz",
			"pg_dump --format=custom --no-owner --file='/b/postern.dump' 'postgres://u@db:5433/postern?sslmode=verify-full'",
			"pg_restore --no-owner --single-transaction --dbname='postgres://u@db:5433/postern?sslmode=verify-full' '/b/postern.dump'"},
		{"postgres:///postern?host=/run/postgresql&password=s3cret&sslpassword=s3cret", "-",
			"pg_dump --format=custom --no-owner --file='postern.dump' 'postgres:///postern?host=%2Frun%2Fpostgresql'",
			"pg_restore --no-owner --single-transaction --dbname='postgres:///postern?host=%2Frun%2Fpostgresql' 'postern.dump'"},
		{"postgres://db/o'clock", "it's.tgz",
			`pg_dump --format=custom --no-owner --file='it'\''s.tgz.dump' 'postgres://db/o'\''clock'`,
			`pg_restore --no-owner --single-transaction --dbname='postgres://db/o'\''clock' 'it'\''s.tgz.dump'`},
	} {
		source := postern.Secret(test.source)
		if got := dumpCommand(source, test.target); got != test.dump {
			t.Errorf("got  %s\nwant %s", got, test.dump)
		}
		if got := loadCommand(source, test.target); got != test.load {
			t.Errorf("got  %s\nwant %s", got, test.load)
		}
	}
}
