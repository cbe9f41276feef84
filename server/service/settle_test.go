package service_test

import (
	"bytes"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// cutter stands between the service and PostgreSQL, and breaks the connection at the next
// commit: before the database has heard of it, or after it has committed and before it can
// say so.
type cutter struct {
	to   string
	next atomic.Int32 // what happens at the next commit
	cuts atomic.Int32
}

const (
	passOn int32 = iota
	cutBefore
	cutAfter
)

// commitMessage is how pgx asks for it: a simple query (https://www.postgresql.org/docs/current/protocol-message-formats.html).
var commitMessage = []byte("commit\x00")

func (c *cutter) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go c.relay(conn)
	}
}

func (c *cutter) relay(client net.Conn) {
	defer client.Close()
	database, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer database.Close()
	var silent atomic.Bool
	go func() {
		defer client.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := database.Read(buffer)
			if silent.Load() && n > 0 { // the answer to the commit: it is done, and nobody hears of it
				c.cuts.Add(1)
				_ = database.Close()
				return
			}
			if _, failed := client.Write(buffer[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if bytes.Contains(buffer[:n], commitMessage) {
			switch c.next.Swap(passOn) {
			case cutBefore:
				c.cuts.Add(1)
				return
			case cutAfter:
				silent.Store(true)
			}
		}
		if _, failed := database.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// B5-20: the connection to PostgreSQL breaks in the commit. Either the change is there once,
// with its event, or it is made again: the caller need not know.
func TestConnectionBreaksInCommit(t *testing.T) {
	if !onPostgreSQL {
		return // SQLite always answers; see sqlstore's fault tests
	}
	for name, when := range map[string]int32{"before it": cutBefore, "after it": cutAfter} {
		t.Run(name, func(t *testing.T) {
			from := newDatabase(t)
			location := must[*url.URL](t)(url.Parse(from.Source.Reveal()))
			ln := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
			c := &cutter{to: location.Host}
			go c.serve(ln)
			defer ln.Close()
			location.Host = ln.Addr().String()
			from.Source = postern.Secret(location.String())
			w := openWorld(t, from, &clock{now: time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)})
			owner, _ := w.bootstrap(t)
			published := w.bus.Subscribe(16, event.CredentialCreated)
			defer published.Close()

			c.next.Store(when)
			made, token, err := w.CreateCredential(t.Context(), service.NewCredential{Account: owner.Account, Owner: owner.Owner, Description: "once"})
			if err != nil {
				t.Fatalf("the change failed: %v", err)
			}
			if c.cuts.Load() != 1 {
				t.Fatal("the connection was not cut")
			}
			if found, _, err := w.Authenticate(t.Context(), token); err != nil || found.ID != made.ID {
				t.Errorf("the token that was given: %v, %v", found.ID, err)
			}
			if n := w.count(t, event.CredentialCreated); n != 2 { // bootstrap's and this
				t.Errorf("%d events in the outbox, want 2", n)
			}
			if d, err := published.Next(t.Context()); err != nil || d.Record.Subject != string(made.ID) {
				t.Errorf("published %+v, %v", d, err)
			}
		})
	}
}

// While nobody can say how a transaction ended nothing else is written, and the caller is
// told to look; the next change finds out, and makes known what was done.
func TestTransactionInDoubtForLong(t *testing.T) {
	w := newWorld(t, func(c *service.Config) { c.StoreTimeout = 2 * time.Second })
	owner, _ := w.bootstrap(t)
	published := w.bus.Subscribe(16, event.CredentialCreated)
	defer published.Close()
	w.store.loseAnswer.Store(true)
	_, _, err := w.CreateCredential(t.Context(), service.NewCredential{Account: owner.Account, Owner: owner.Owner})
	refused(t, err, postern.CodeStoreUnavailable)
	refused(t, w.RevokeCredential(t.Context(), owner.ID), postern.CodeStoreUnavailable)
	w.store.loseAnswer.Store(false)
	w.store.down.Store(false)
	d, err := published.Next(t.Context()) // by the goroutine that keeps writing
	if err != nil || d.Record.Type != event.CredentialCreated {
		t.Errorf("published %+v, %v", d, err)
	}
	if err := w.RevokeCredential(t.Context(), owner.ID); err != nil {
		t.Errorf("after all is well: %v", err)
	}
	if n := w.count(t, event.CredentialCreated); n != 2 {
		t.Errorf("%d events in the outbox, want 2", n)
	}
}
