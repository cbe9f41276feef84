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
	"github.com/postern-dev/postern/server/service"
)

// Limits come from the configuration and from the store, hold at the edge and for agents,
// change while the server runs, and hold while the store is gone.
func TestLimits(t *testing.T) {
	c := testConfig(t)
	f := newFile(t, c)
	f.write("limits: {requests_per_account: 1, endpoints_per_credential: 2}\n")
	n := f.start(server.Options{})
	keys := n.Keys()
	token := postern.Secret(keys.Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	n.online(client, "https://app."+domain, "hello")
	visit := func(want int) {
		t.Helper()
		if status, body := n.get(n.Visitor(), "https://app."+domain+"/"); status != want || status == http.StatusTooManyRequests && !strings.Contains(body, string(postern.CodeRequestLimit)) {
			t.Errorf("a visitor gets %d %s, want %d", status, body, want)
		}
	}
	visit(http.StatusOK)
	visit(http.StatusTooManyRequests)

	// A reload.
	f.write("limits: {requests_per_account: 2, endpoints_per_credential: 2}\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	visit(http.StatusOK)
	visit(http.StatusOK)
	visit(http.StatusTooManyRequests)

	// An account's own.
	operator := service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	none, one := int64(0), int64(1)
	if err := n.Service().SetLimits(t.Context(), operator, string(keys.AccountID), postern.LimitOverrides{RequestsPerMinute: &none, Endpoints: &one}); err != nil {
		t.Fatal(err)
	}
	n.eventually("the account's own limits hold", func() error {
		if u := n.Usage(); len(u) != 2 || u[0].Limits.RequestsPerMinute != 0 || u[0].Limits.Endpoints != 1 {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
	ask := link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}}
	if _, err := client.Bind(t.Context(), ask); !postern.HasCode(err, postern.CodeEndpointLimit) {
		t.Errorf("a second endpoint: %v", err)
	}
	visit(http.StatusOK)

	// The store is gone.
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
	if _, err := blocker.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	visit(http.StatusOK)
	if _, err := client.Bind(t.Context(), ask); !postern.HasCode(err, postern.CodeEndpointLimit) {
		t.Errorf("a second endpoint without a store: %v", err)
	}
	if _, err := blocker.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	u := n.Usage()
	if u[0].Total.Requests != 5 || u[0].Total.Refused != 4 || u[0].Sessions != 1 || u[0].Endpoints != 1 || u[0].Total.BytesOut == 0 {
		t.Errorf("usage %+v", u[0])
	}
	if _, text := n.admin("/metrics"); !strings.Contains(text, `postern_limited_total{limit="requests",scope="account"} 2`) {
		t.Errorf("the metrics have no refusals:\n%s", text)
	}

	// Another process finds them in the store.
	n.Shutdown()
	n = f.start(server.Options{})
	again, _ := n.agent(link.Hello{Token: token})
	n.online(again, "https://app."+domain, "hello")
	n.eventually("the account's limits are read", func() error {
		if u := n.Usage(); len(u) == 0 || u[0].Limits.Endpoints != 1 {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
}
