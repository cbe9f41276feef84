package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// B5-17, B5-18: a store that takes no writes degrades health, which says so and
// recovers by itself; visitors and known agents do not notice.
func TestHealthOfStoreThatTakesNoWrites(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	token := postern.Secret(n.Keys().Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	n.online(client, "https://app."+domain, "hello")

	// Another process holds the write lock, for as long as it likes.
	database, err := sql.Open("sqlite", filepath.Join(c.DataDir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	blocker, err := database.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	if _, err := blocker.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	health := func(path string, status int, text string) {
		t.Helper()
		n.eventually(path+" says "+text, func() error {
			if got, body := n.admin(path); got != status || !strings.Contains(body, text) {
				return fmt.Errorf("%d %s", got, body)
			}
			return nil
		})
	}
	again, _ := n.agent(link.Hello{Token: token}) // whose event cannot be written
	health("/healthz", http.StatusOK, `"status":"degraded","store":"takes no writes"`)
	health("/readyz", http.StatusOK, `"status":"ready","store":"takes no writes"`)
	health("/metrics", http.StatusOK, "postern_store_writable 0")
	if status, body := n.get(n.Visitor(), "https://app."+domain+"/"); status != http.StatusOK || body != "hello" {
		t.Errorf("a visitor meanwhile: %d %q", status, body)
	}
	client.Close(nil)
	n.eventually("the name is free", func() error {
		if online := n.Control().Sessions(); len(online) != 1 {
			return fmt.Errorf("%d sessions", len(online))
		}
		return nil
	})
	n.online(again, "https://app."+domain, "hello") // a known name is not refused
	if _, err := blocker.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	health("/healthz", http.StatusOK, `"status":"ok","store":"ok"`)
	health("/metrics", http.StatusOK, "postern_store_writable 1")
}
