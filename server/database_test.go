package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/postgres"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// postgreSQL is the cluster in which tests of the other engine have their databases.
var postgreSQL postgres.Shared

func postgresConfig(t *testing.T) server.Config {
	t.Helper()
	c := testConfig(t)
	c.Database = postern.Secret(postgreSQL.Database(t))
	return c
}

func TestDatabaseSetting(t *testing.T) {
	const password = "s3cret"
	for _, test := range []struct{ value, shown, says string }{
		{"postgres://u:s3cret@db/postern", "postgres://u:xxxxx@db/postern", ""},
		{"postgresql://u:s3cret@db:5433/postern?sslmode=verify-full", "postgresql://u:xxxxx@db:5433/postern?sslmode=verify-full", ""},
		{"postgres://db/postern?user=u&password=s3cret&sslmode=disable", "postgres://db/postern?password=xxxxx&sslmode=disable&user=u", ""},
		{"postgres:///postern?host=/run/postgresql", "postgres:///postern?host=/run/postgresql", ""},
		{"mysql://u:s3cret@db/postern", "", "not a PostgreSQL URL; write postgres://USER:PASSWORD@HOST/DATABASE, or leave it empty for SQLite in data_dir"},
		{"u:s3cret@db/postern", "", "not a PostgreSQL URL"},
		{"host=db password=s3cret", "", "not a PostgreSQL URL"},
		{"/var/lib/s3cret.db", "", "not a PostgreSQL URL"},
		{"postgres:s3cret", "", "not a PostgreSQL URL"},
		{"postgres://u:s3cret%zz@db/postern", "", "special characters are written as %40"},
		{"postgres://u:s3cret/x@db/postern", "", "special characters are written as %40"},
		{"postgres://u:s3cret@db/postern?sslmode=s3cret", "", "sslmode is invalid"},
		{"postgres://u:s3cret@db/postern?connect_timeout=soon", "", "invalid connect_timeout"},
		{"postgres://u:s3cret@db/postern?sslmode=verify-full&sslrootcert=/nonexistent.pem", "", "unable to read CA file"},
		{"postgres://db/postern?password=s3cret&connect_timeout=s3cret", "", "cannot use this URL"},
	} {
		c, err := server.Load("", func(string) string { return "" }, map[string]string{"domain": "example.com", "database": test.value})
		if test.says != "" {
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), test.says) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), password) {
				t.Errorf("%s: %v, want %q and no password", test.value, err, test.says)
			}
			continue
		}
		if err != nil || c.Database.Reveal() != test.value {
			t.Errorf("%s: %q, %v", test.value, c.Database.Reveal(), err)
		}
		for _, setting := range server.Settings() {
			if got := setting.Value(c); setting.Key == "database" && got != test.shown {
				t.Errorf("%s is shown as %s, want %s", test.value, got, test.shown)
			}
		}
	}
}

// B5-3 and the main job, with PostgreSQL: visitors reach agents, names survive a
// restart, and no password is in what the server says.
func TestServerOnPostgreSQL(t *testing.T) {
	var written record
	c := postgresConfig(t)
	options := server.Options{Logger: slog.New(obs.NewHandler(&written, obs.JSON, slog.LevelDebug))}
	n := start(t, c, options)
	token := postern.Secret(n.Keys().Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	before := n.online(client, "https://", "hello")
	if status, body := n.get(n.Visitor(), before.PublicURL); status != http.StatusOK || body != "hello" {
		t.Errorf("the visitor got %d %q", status, body)
	}
	n.Shutdown()
	if _, err := os.Stat(filepath.Join(c.DataDir, "postern.db")); !os.IsNotExist(err) {
		t.Errorf("there is a SQLite database beside PostgreSQL: %v", err)
	}
	n = start(t, c, options)
	fresh, _ := n.agent(link.Hello{Token: token})
	if after := n.online(fresh, "https://", "hello"); after.URL != before.URL {
		t.Errorf("after the restart the agent has %s, before %s", after.URL, before.URL)
	}
	n.Shutdown()

	location, err := url.Parse(c.Database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := location.User.Password()
	location.User = url.UserPassword("postgres", "wr0ng")
	c.Database = postern.Secret(location.String())
	_, err = server.New(c, options)
	if !postern.HasCode(err, postern.CodeStoreUnavailable) || !strings.Contains(err.Error(), "refuses the user or the password") {
		t.Errorf("a wrong password: %v", err)
	}
	for _, secret := range []string{password, "wr0ng"} {
		if log := written.String(); strings.Contains(log, secret) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), secret) {
			t.Error("a password is in the log, or in the error")
		}
	}
}

// B5-19: PostgreSQL is stopped. Visitors do not notice, an agent that is known may come
// back to its name, a new name is refused with a code, health says what is wrong, and
// everything recovers by itself.
func TestTrafficWhilePostgreSQLIsStopped(t *testing.T) {
	n := start(t, postgresConfig(t), server.Options{})
	keys := n.Keys()
	token := postern.Secret(keys.Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	n.online(client, "https://app."+domain, "hello")
	health := func(path string, status int, text string) {
		t.Helper()
		n.eventually(path+" says "+text, func() error {
			if got, body := n.admin(path); got != status || !strings.Contains(body, text) {
				return fmt.Errorf("%d %s", got, body)
			}
			return nil
		})
	}
	health("/healthz", http.StatusOK, `"status":"ok","store":"ok"`)

	cluster := postgreSQL.Cluster(t)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the next test needs it
		if err := cluster.Resume(); err != nil {
			t.Error(err)
		}
	})
	health("/healthz", http.StatusOK, `"status":"degraded"`)
	health("/readyz", http.StatusOK, `"status":"ready"`)
	reach := func() {
		t.Helper()
		if status, body := n.get(n.Visitor(), "https://app."+domain+"/"); status != http.StatusOK || body != "hello" {
			t.Errorf("a visitor got %d %q", status, body)
		}
	}
	reach()
	client.Close(nil)
	n.eventually("the session is over", func() error {
		if online := n.Control().Sessions(); len(online) != 0 {
			return fmt.Errorf("%d sessions", len(online))
		}
		return nil
	})
	again, _ := n.agent(link.Hello{Token: token})
	n.online(again, "https://app."+domain, "hello")
	reach()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	asked := link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "new." + domain}}
	if _, err := again.Bind(ctx, asked); !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Errorf("a new name without a store: %v, want CodeStoreUnavailable", err)
	}

	if status, after := n.makePolicy(keys.APIKey); status != http.StatusServiceUnavailable || after == "" {
		t.Errorf("the API answers %d, Retry-After %q", status, after)
	}

	if err := cluster.Resume(); err != nil {
		t.Fatal(err)
	}
	health("/healthz", http.StatusOK, `"status":"ok","store":"ok"`)
	if status, _ := n.makePolicy(keys.APIKey); status != http.StatusCreated {
		t.Errorf("the API answers %d afterwards", status)
	}
	if _, err := again.Bind(t.Context(), asked); err != nil {
		t.Errorf("a new name afterwards: %v", err)
	}
	reach()
}

// makePolicy changes something through the API.
func (n *node) makePolicy(key string) (status int, retryAfter string) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, fmt.Sprintf("https://api.%s:%d/ip_policies", domain, n.HTTPSAddr().Port()), strings.NewReader("{}"))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + key}, "Ngrok-Version": {"2"}, "Content-Type": {"application/json"}}
	response, err := n.Visitor().Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After")
}

// Who starts without the database is told where it was looked for.
func TestServerWithoutItsPostgreSQL(t *testing.T) {
	c := testConfig(t)
	c.Database = "postgres://u:s3cret@127.0.0.1:1/postern"
	_, err := server.New(c, server.Options{Logger: testkit.Logger(t)})
	if !postern.HasCode(err, postern.CodeStoreUnavailable) || !strings.Contains(err.Error(), "the database at 127.0.0.1:1 cannot be reached") {
		t.Errorf("got %v", err)
	}
	// Nothing is left behind that keeps the next start from the directory.
	c.Database = ""
	start(t, c, server.Options{})
}
