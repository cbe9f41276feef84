package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func (f *fixture) exists(t *testing.T, id postern.AccountID) bool {
	t.Helper()
	err := f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Accounts().Get(t.Context(), id)
		return err
	})
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func testRollback(t *testing.T, f *fixture) {
	err := f.Write(t.Context(), func(tx store.Tx) error {
		if err := tx.Accounts().Create(t.Context(), postern.Account{ID: "ac_1", CreatedAt: f.now}); err != nil {
			return err
		}
		return errUndo
	})
	if err != errUndo { //nolint:errorlint // must come back as it is
		t.Errorf("got %v, want the error of the function itself", err)
	}
	if f.exists(t, "ac_1") {
		t.Error("a transaction that failed left a row behind")
	}
}

func testPanic(t *testing.T, f *fixture) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = f.Write(t.Context(), func(tx store.Tx) error {
			if err := tx.Accounts().Create(t.Context(), postern.Account{ID: "ac_1", CreatedAt: f.now}); err != nil {
				t.Error(err)
			}
			panic("on purpose")
		})
	}()
	if f.exists(t, "ac_1") {
		t.Error("a transaction that panicked left a row behind")
	}
	f.owner(t, 1) // and the store takes the next one
}

func testReadOnly(t *testing.T, f *fixture) {
	err := f.Read(t.Context(), func(tx store.Tx) error {
		return tx.Accounts().Create(t.Context(), postern.Account{ID: "ac_1", CreatedAt: f.now})
	})
	if err == nil || f.exists(t, "ac_1") {
		t.Errorf("a read wrote (error %v)", err)
	}
}

func testSnapshot(t *testing.T, f *fixture) {
	get := func(tx store.Tx) bool {
		_, err := tx.Accounts().Get(t.Context(), "ac_1")
		if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
			t.Error(err)
		}
		return err == nil
	}
	f.read(t, func(ctx context.Context, before store.Tx) error {
		if get(before) {
			t.Error("found before it was written")
		}
		f.write(t, func(ctx context.Context, tx store.Tx) error {
			if err := tx.Accounts().Create(ctx, postern.Account{ID: "ac_1", CreatedAt: f.now}); err != nil {
				return err
			}
			if !get(tx) {
				t.Error("a transaction does not see what it wrote")
			}
			// A read begun now neither waits for this transaction nor sees it.
			if f.exists(t, "ac_1") {
				t.Error("a reader sees what is not committed")
			}
			return nil
		})
		if get(before) {
			t.Error("what a read sees changed while it ran")
		}
		return nil
	})
	if !f.exists(t, "ac_1") {
		t.Error("a later read does not see what was committed")
	}
}

// Lost updates would make the counter too small.
func testSerial(t *testing.T, f *fixture) {
	const writers, each = 4, 10
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Settings().Put(ctx, "counter", "0") })
	increment := func(tx store.Tx) error {
		text, err := tx.Settings().Get(t.Context(), "counter")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		return tx.Settings().Put(t.Context(), "counter", strconv.Itoa(n+1))
	}
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				if err := f.Write(t.Context(), increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Settings().Get(ctx, "counter")
		if want := strconv.Itoa(writers * each); got != want {
			t.Errorf("counter is %s, want %s", got, want)
		}
		return err
	})
}

func testConcurrentClaims(t *testing.T, f *fixture) {
	rivals := []postern.Credential{f.owner(t, 1), f.owner(t, 2), f.owner(t, 3)}
	for round := range 10 {
		host := postern.Hostname("n" + strconv.Itoa(round) + ".example.com")
		held := make([]store.Name, len(rivals))
		var group sync.WaitGroup
		for i, c := range rivals {
			group.Go(func() {
				err := f.Write(t.Context(), func(tx store.Tx) (err error) {
					held[i], err = tx.Names().Claim(t.Context(), f.name(host, c), f.now.Add(-month))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, h := range held {
			if h.Account == "" || h.Account != held[0].Account {
				t.Fatalf("round %d: rivals were told different holders: %+v", round, held)
			}
		}
	}
}

func testContext(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, fn := range map[string]func(context.Context, func(store.Tx) error) error{"Read": f.Read, "Write": f.Write} {
		err := fn(ctx, func(store.Tx) error { return nil })
		fails(t, err, postern.CodeStoreUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v does not name the context's end as its cause", name, err)
		}
	}
	f.write(t, func(context.Context, store.Tx) error { // one holds the pen, the other stops waiting
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := f.Write(short, func(tx store.Tx) error {
			return tx.Accounts().Create(short, postern.Account{ID: "ac_1", CreatedAt: f.now})
		})
		if err != nil {
			fails(t, err, postern.CodeStoreUnavailable)
		}
		return nil
	})
	f.owner(t, 7)
}

func testClosed(t *testing.T, f *fixture) {
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(store.Tx) error { return nil }
	fails(t, f.Read(t.Context(), nothing), postern.CodeStoreUnavailable)
	fails(t, f.Write(t.Context(), nothing), postern.CodeStoreUnavailable)
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
