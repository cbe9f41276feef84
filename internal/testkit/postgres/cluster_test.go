package postgres_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/postgres"
)

// The cluster is what its users take it for: it sorts text as people do, keeps its
// data over a stop, lets nobody in without the password and leaves nothing behind.
func TestCluster(t *testing.T) {
	var shared postgres.Shared
	c := shared.Cluster(t)
	dir, err := c.Query(t.Context(), "postgres", "SHOW data_directory")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	})
	location, err := url.Parse(shared.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	name := location.Path[1:]
	query := func(statement, want string) {
		t.Helper()
		if got, err := c.Query(t.Context(), name, statement); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", statement, got, err, want)
		}
	}
	query("SELECT 'a' < 'B', 'a' COLLATE \"C\" < 'B'", "t|f")
	query("CREATE TABLE kept (n BIGINT); INSERT INTO kept VALUES (7)", "")
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), name, "SELECT 1"); err == nil {
		t.Error("a stopped server answers")
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	query("SELECT n FROM kept", "7")
}
