package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look at the database behind the server's back

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

const (
	kills         = 20
	writesAKill   = 50 // mixed, acknowledged
	writersAtOnce = 4
)

// api is a client of the server's REST API. Its connections do not outlive a restart.
func (s *server) api() *client.Client {
	s.t.Helper()
	transport := s.transport()
	transport.DisableKeepAlives = true // one is made for every question of those who ask again and again
	c, err := client.New(client.Options{URL: fmt.Sprintf("https://api.%s:%d", s.Domain, s.https), APIKey: postern.Secret(s.APIKey),
		HTTP: &http.Client{Transport: transport, Timeout: 30 * time.Second}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// writer makes, changes and deletes IP policies, and knows what was acknowledged.
type writer struct {
	policies client.Resources[resource.IPPolicy, resource.IPPolicyCreate, resource.IPPolicyUpdate]
	written  *atomic.Int64
	number   int

	live    map[string]string // id → description
	deleted map[string]bool
	doubt   string // the id whose last change nobody has answered; "" for none
	maybe   string // what its description would be; "" for deleted
}

// run writes until a write fails, which is when the server was killed. Of each three writes
// one makes, one changes and one deletes what was made two rounds before.
func (w *writer) run(ctx context.Context) {
	var order []string
	for ctx.Err() == nil {
		w.number++
		made, err := w.policies.Create(ctx, resource.IPPolicyCreate{Description: fmt.Sprint("made ", w.number)})
		if err != nil {
			return // a policy of which nobody knows the id
		}
		w.live[made.ID] = made.Description
		w.written.Add(1)
		order = append(order, made.ID)

		text := fmt.Sprint("changed ", w.number)
		w.doubt, w.maybe = made.ID, text
		if _, err := w.policies.Update(ctx, made.ID, resource.IPPolicyUpdate{Description: &text}); err != nil {
			return
		}
		w.live[made.ID], w.doubt = text, ""
		w.written.Add(1)
		if len(order) < 2 {
			continue
		}
		w.doubt, w.maybe = order[0], ""
		if err := w.policies.Delete(ctx, order[0]); err != nil {
			return
		}
		delete(w.live, order[0])
		w.deleted[order[0]], w.doubt = true, ""
		w.written.Add(1)
		order = order[1:]
	}
}

// check compares what the server has with what it has acknowledged, and takes over what was
// in doubt.
func (w *writer) check(t *testing.T) {
	t.Helper()
	for id, want := range w.live {
		found, err := w.policies.Get(t.Context(), id)
		switch {
		case err == nil && (found.Description == want || id == w.doubt && found.Description == w.maybe):
			w.live[id] = found.Description
		case postern.HasCode(err, postern.CodeNotFound) && id == w.doubt && w.maybe == "":
			delete(w.live, id)
			w.deleted[id] = true
		default:
			t.Errorf("policy %s was acknowledged as %q, and is %q (%v)", id, want, found.Description, err)
		}
	}
	for id := range w.deleted {
		if _, err := w.policies.Get(t.Context(), id); !postern.HasCode(err, postern.CodeNotFound) {
			t.Errorf("policy %s was deleted, and is back (%v)", id, err)
		}
	}
	w.doubt = ""
}

// B5-3: twenty times the server is killed in the middle of writes. Everything acknowledged is
// there, and of nothing a half: a row and its event are there together.
func TestKillsLoseNoAcknowledgedWrite(t *testing.T) {
	s := startServer(t, "limits:\n  api_requests: 1000000")
	var written atomic.Int64
	writers := make([]*writer, writersAtOnce)
	for i := range writers {
		writers[i] = &writer{policies: client.For(s.api(), resource.IPPolicies()), written: &written,
			live: make(map[string]string), deleted: make(map[string]bool)}
	}
	database := filepath.Join(filepath.Dir(s.Config), "data", "postern.db")
	for kill := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for _, w := range writers {
			group.Go(func() { w.run(ctx) })
		}
		until := int64((kill + 1) * writesAKill)
		eventually(t, 60*time.Second, func() error {
			if n := written.Load(); n < until {
				return fmt.Errorf("%d of %d writes", n, until)
			}
			return nil
		})
		s.process.signal(syscall.SIGKILL)
		s.process.wait(5 * time.Second)
		cancel()
		group.Wait()
		checkNoHalves(t, database)
		s.start()
		for _, w := range writers {
			w.check(t)
		}
	}
	t.Logf("%d writes were acknowledged over %d kills", written.Load(), kills)
}

// checkNoHalves holds every row against the last event about it.
func checkNoHalves(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("the database is %q (%v)", verdict, err)
	}
	fromEvents := make(map[string]string)
	events, err := db.QueryContext(t.Context(), "SELECT type, subject, object FROM outbox WHERE type LIKE 'ip_policy_%' ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for events.Next() {
		var kind, id string
		var object []byte
		var policy resource.IPPolicy
		if err := events.Scan(&kind, &id, &object); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(object, &policy); err != nil {
			t.Fatal(err)
		}
		if fromEvents[id] = policy.Description; kind == "ip_policy_deleted.v0" {
			delete(fromEvents, id)
		}
	}
	rows, err := db.QueryContext(t.Context(), "SELECT id, description FROM ip_policies")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, description string
		if err := rows.Scan(&id, &description); err != nil {
			t.Fatal(err)
		}
		if told, known := fromEvents[id]; !known || told != description {
			t.Errorf("policy %s is %q, and its events say %q (%v)", id, description, told, known)
		}
		delete(fromEvents, id)
	}
	for id := range fromEvents {
		t.Errorf("events tell of policy %s, which is not there", id)
	}
}
