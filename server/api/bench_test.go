package api_test

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store/sqlstore"
	"github.com/postern-dev/postern/server/store/storetest"
)

// BenchmarkRows reads through the API where an account has 100,000 reserved domains: all
// that a request costs but the network. docs/performance.md has figures.
func BenchmarkRows(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		benchmarkRows(b, sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite", Source: postern.Secret(filepath.Join(b.TempDir(), "postern.db"))})
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		benchmarkRows(b, sqlstore.Engine{Dialect: sqlstore.PostgreSQL, Driver: "pgx", Source: postern.Secret(postgreSQL.Database(b))})
	})
}

func benchmarkRows(b *testing.B, engine sqlstore.Engine) {
	b.Helper()
	database, err := sqlstore.Open(b.Context(), engine)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = database.Close() }()
	bus := event.NewBus()
	defer bus.Close()
	uses, err := service.New(b.Context(), service.Config{Store: database, Bus: bus, NameKey: make([]byte, 32), Domains: []postern.Hostname{domain}, APIURL: base})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = uses.Close(b.Context()) }()
	first, err := uses.Bootstrap(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	storetest.Fill(b, database, first.AccountID)
	handler, err := api.New(api.Config{Service: uses, URL: base, RequestsPerMinute: 1 << 40, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	anyID := func() string { return storetest.FilledID(100 + rand.IntN(storetest.Filled-100)) }
	for name, path := range map[string]func() string{
		"one":        func() string { return "/reserved_domains/" + anyID() },
		"newest 100": func() string { return "/reserved_domains?limit=100" },
		"any 100":    func() string { return "/reserved_domains?limit=100&before_id=" + anyID() },
	} {
		b.Run(name, func(b *testing.B) {
			var latency testkit.Latency
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path(), http.NoBody)
				r.Header.Set("Authorization", "Bearer "+first.APIKey.Reveal())
				r.Header.Set("Ngrok-Version", "2")
				answer := httptest.NewRecorder()
				latency.Measure(func() { handler.ServeHTTP(answer, r) })
				if answer.Code != http.StatusOK || !json.Valid(answer.Body.Bytes()) {
					b.Fatalf("%d: %s", answer.Code, answer.Body)
				}
			}
			latency.Report(b)
		})
	}
}
