package service_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

func session(n int, c postern.Credential) postern.Session {
	return postern.Session{
		ID: postern.SessionID(fmt.Sprintf("ts_%d", n)), Account: c.Account, Credential: c.ID,
		Agent: postern.AgentInfo{Version: "1.2.3", OS: "linux"}, RemoteAddr: "[2001:db8::1]:4711", Transport: "postern/1",
		StartedAt: time.Date(2031, 1, 2, 3, 4, 5, 6, time.UTC),
	}
}

func TestSessionEventsAreRecordedInOrder(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	heard := w.bus.Subscribe(1000)
	defer heard.Close()
	before := len(w.outbox(t))
	for i := range 50 {
		if err := w.SessionStarted(t.Context(), session(i, c)); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 { // a change of another kind in between takes what waits along
			if err := w.ClaimName(t.Context(), c, postern.Hostname(fmt.Sprintf("n%d.example.com", i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.SessionStopped(t.Context(), session(i, c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := w.outbox(t)[before:]
	if len(records) != 105 {
		t.Fatalf("%d records, want 105", len(records))
	}
	next := map[postern.EventType]int{}
	for _, r := range records {
		d, err := heard.Next(t.Context())
		if err != nil || d.Record.Seq != r.Seq || d.Record.ID != r.ID || d.Record.Subject != r.Subject {
			t.Fatalf("heard %+v, %v; the outbox has %+v", d, err, r)
		}
		if r.Type == event.NameClaimed {
			continue
		}
		if want := fmt.Sprintf("ts_%d", next[r.Type]); r.Subject != want {
			t.Fatalf("%s of %s, want %s", r.Type, r.Subject, want)
		}
		next[r.Type]++
	}
	var object map[string]any
	if err := json.Unmarshal(records[0].Object, &object); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"id": "ts_0", "ip": "2001:db8::1", "os": "linux",
		"agent_version": "1.2.3", "transport": "postern/1", "started_at": "2031-01-02T03:04:05Z",
	} {
		if object[key] != want {
			t.Errorf("%s is %q, want %q", key, object[key], want)
		}
	}
	if ref, _ := object["credential"].(map[string]any); ref["id"] != string(c.ID) {
		t.Errorf("credential is %v", object["credential"])
	}
}

// B5-17, 18, 19 in the small: sessions go on while the store is down, nothing is lost,
// and it recovers by itself.
func TestSessionEventsOutliveADeadStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _ := w.bootstrap(t)
		w.store.down.Store(true)
		for i := range 200 {
			if err := w.SessionStarted(t.Context(), session(i, c)); err != nil {
				t.Fatalf("a session failed for the store's sake: %v", err)
			}
		}
		time.Sleep(5 * time.Second)
		for i := range 200 { // and more while attempts to write the first ones fail
			if err := w.SessionStarted(t.Context(), session(200+i, c)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		refused(t, w.Flush(t.Context()), postern.CodeStoreUnavailable)
		attempts := w.store.writes.Load()
		if attempts > 50 {
			t.Errorf("%d attempts in ten seconds", attempts)
		}
		w.store.down.Store(false)
		time.Sleep(2 * time.Second)
		var got, want []string
		for _, r := range w.outbox(t) {
			if r.Type == event.AgentSessionStarted {
				got = append(got, r.Subject)
				want = append(want, fmt.Sprintf("ts_%d", len(want)))
			}
		}
		if len(got) != 400 || !slices.Equal(got, want) {
			t.Errorf("recorded %v", got)
		}
		w.close()
	})
}

func TestBacklogIsBounded(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	w.store.down.Store(true)
	var err error
	for i := range 3 * service.MaxWaiting {
		if err = w.SessionStarted(t.Context(), session(i, c)); err != nil {
			break
		}
	}
	refused(t, err, postern.CodeStoreUnavailable)
	w.store.down.Store(false)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.SessionStarted(t.Context(), session(1, c)); err != nil {
		t.Errorf("after the store came back: %v", err)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	if err := w.SessionStopped(t.Context(), session(1, c)); err != nil {
		t.Fatal(err)
	}
	if n := w.restart(t).count(t, event.AgentSessionStopped); n != 1 {
		t.Errorf("%d events after Close, want 1", n)
	}
}

// What is online all the time is kept and what lapsed is removed, by the Service's own
// goroutine.
func TestHourlySweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{now: time.Now()}
		w := newWorld(t, func(config *service.Config) {
			config.Now = c.Now
			config.InUse = func() []postern.Endpoint {
				return []postern.Endpoint{
					{URL: postern.URL{Scheme: postern.HTTPS, Host: "online.example.com"}},
					{URL: postern.URL{Scheme: postern.TCP, Host: "tcp.example.com", Port: 20001}},
				}
			}
		})
		mine, theirs := w.stranger(t, "1"), w.stranger(t, "2")
		for _, host := range []postern.Hostname{"online.example.com", "gone.example.com"} {
			if err := w.ClaimName(t.Context(), mine, host); err != nil {
				t.Fatal(err)
			}
		}
		for _, port := range []uint16{20001, 20002} {
			if err := w.ClaimPort(t.Context(), mine, postern.TCP, port); err != nil {
				t.Fatal(err)
			}
		}
		for range 35 {
			c.Advance(day)
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		err := w.store.Read(t.Context(), func(tx store.Tx) error {
			_, err := tx.Names().Get(t.Context(), "gone.example.com")
			refused(t, err, postern.CodeNotFound)
			_, err = tx.Ports().Get(t.Context(), store.PortKey{Scheme: postern.TCP, Port: 20002})
			refused(t, err, postern.CodeNotFound)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		refused(t, w.ClaimName(t.Context(), theirs, "online.example.com"), postern.CodeNameReserved)
		refused(t, w.ClaimPort(t.Context(), theirs, postern.TCP, 20001), postern.CodePortUnavailable)
		if err := w.ClaimName(t.Context(), theirs, "gone.example.com"); err != nil {
			t.Error(err)
		}
		if err := w.ClaimPort(t.Context(), theirs, postern.TCP, 20002); err != nil {
			t.Error(err)
		}
		w.close()
	})
}
