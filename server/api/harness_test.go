package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/ksuid"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/postgres"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// postgreSQL is the cluster in which benchmarks have their other databases.
var postgreSQL postgres.Shared

func TestMain(m *testing.M) { testkit.Leaks(m, postgreSQL.Close) }

const (
	domain postern.Hostname = "example.com"
	base   string           = "https://api.example.com"
)

// world is an API over a service with a real database.
type world struct {
	t       *testing.T
	handler http.Handler
	// document is the API's OpenAPI document; every answer is held against it.
	document *document
	service  *service.Service
	store    store.Store
	first    service.Bootstrap
	key      string // what requests carry
}

// newWorld makes one; options change how the API is made.
func newWorld(t *testing.T, options ...func(*api.Config)) *world {
	t.Helper()
	return newWorldOf(t, func(*service.Config) {}, options...)
}

// newWorldOf is newWorld whose service is made otherwise.
func newWorldOf(t *testing.T, configure func(*service.Config), options ...func(*api.Config)) *world {
	t.Helper()
	database, err := sqlstore.Open(t.Context(), sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite",
		Source: postern.Secret(filepath.Join(t.TempDir(), "postern.db"))})
	if err != nil {
		t.Fatal(err)
	}
	bus := event.NewBus()
	ring, err := seal.NewKeyring(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	with := service.Config{
		Store: database, Bus: bus, NameKey: make([]byte, 32), Domains: []postern.Hostname{domain}, APIURL: base, Sealing: ring,
	}
	configure(&with)
	uses, err := service.New(t.Context(), with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = uses.Close(context.WithoutCancel(t.Context()))
		bus.Close()
		_ = database.Close()
	})
	first, err := uses.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := api.Config{Service: uses, URL: base, Logger: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(&config)
	}
	handler, err := api.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, handler: handler, document: documentOf(t, handler), service: uses, store: database, first: first, key: first.APIKey.Reveal()}
}

// stranger is the same API as somebody from another account sees it.
func (w *world) stranger() *world {
	w.t.Helper()
	// The key has the form that service gives them.
	unique, secret := ksuid.New().String(), strings.Repeat("s", 21)
	other := *w
	other.first = service.Bootstrap{AccountID: postern.AccountID("ac_" + unique), UserID: postern.UserID("usr_" + unique)}
	other.key = unique + "_" + secret
	err := w.store.Write(w.t.Context(), func(tx store.Tx) error {
		if err := tx.Accounts().Create(w.t.Context(), postern.Account{ID: other.first.AccountID}); err != nil {
			return err
		}
		if err := tx.Users().Create(w.t.Context(), store.User{Meta: store.Meta{ID: string(other.first.UserID), Account: other.first.AccountID}, Kind: store.Person, Role: postern.Owner, Active: true}); err != nil {
			return err
		}
		return tx.APIKeys().Create(w.t.Context(), store.APIKey{Meta: store.Meta{ID: "ak_" + unique, Account: other.first.AccountID},
			Owner: other.first.UserID, Verifier: sha256.Sum256([]byte(secret))})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &other
}

// object is a JSON object.
type object = map[string]any

// reply is what came back.
type reply struct {
	*http.Response
	text string
	body object // nil where the body is none
}

// send sends a request as ngrok's clients do; body is sent as it is if it is a string, and
// as JSON otherwise; nil sends none. edits change the request.
func (w *world) send(method, path string, body any, edits ...func(*http.Request)) reply {
	w.t.Helper()
	var content io.Reader = http.NoBody
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, strings.TrimPrefix(path, base), content)
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Ngrok-Version", "2")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, edit := range edits {
		edit(r)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	got := reply{Response: recorder.Result(), text: recorder.Body.String()}
	if got.text != "" {
		if err := json.Unmarshal([]byte(got.text), &got.body); err != nil {
			w.t.Fatalf("%s %s: the answer is not a JSON object: %v\n%s", method, path, err, got.text)
		}
	}
	w.document.check(w.t, r, got)
	return got
}

// does is send, and wants a status.
func (w *world) does(status int, method, path string, body any, edits ...func(*http.Request)) object {
	w.t.Helper()
	got := w.send(method, path, body, edits...)
	if got.StatusCode != status {
		w.t.Fatalf("%s %s %v: %d, want %d:\n%s", method, path, body, got.StatusCode, status, got.text)
	}
	if method == "POST" && status == 201 {
		w.findable(path, got.body)
	}
	return got.body
}

// refused is send, and wants an error with a status and code; it returns the message.
func (w *world) refused(status int, code postern.Code, method, path string, body any, edits ...func(*http.Request)) string {
	w.t.Helper()
	got := w.send(method, path, body, edits...)
	have, _ := got.body["error_code"].(string)
	if got.StatusCode != status || have != string(code) || got.body["status_code"] != float64(status) {
		w.t.Errorf("%s %s %.80v: %d %s, want %d %s:\n%s", method, path, body, got.StatusCode, have, status, code, got.text)
	}
	details, _ := got.body["details"].(object)
	if operation, _ := details["operation_id"].(string); operation == "" || operation != got.Header.Get("Ngrok-Operation-Id") {
		w.t.Errorf("%s %s: operation %q in the body, %q in the header", method, path, operation, got.Header.Get("Ngrok-Operation-Id"))
	}
	message, _ := got.body["msg"].(string)
	return message
}

// events are those in the outbox, oldest first.
func (w *world) events() []event.Record {
	w.t.Helper()
	var records []event.Record
	err := w.store.Read(w.t.Context(), func(tx store.Tx) (err error) {
		records, err = tx.Outbox().After(w.t.Context(), 0, 10_000)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return records
}

// ids are those of a list's items, in order.
func ids(list object, key string) []string {
	var all []string
	items, _ := list[key].([]any)
	for _, item := range items {
		one, _ := item.(object)
		id, _ := one["id"].(string)
		all = append(all, id)
	}
	return all
}

// header sets a header of a request; an empty value removes it.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

// clock is a time that only tests move.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }
