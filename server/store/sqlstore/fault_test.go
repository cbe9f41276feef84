package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

func put(ctx context.Context, s store.Store, key, value string) error {
	return s.Write(ctx, func(tx store.Tx) error { return tx.Settings().Put(ctx, key, value) })
}

func get(ctx context.Context, s store.Store, key string) (value string, err error) {
	err = s.Read(ctx, func(tx store.Tx) (err error) {
		value, err = tx.Settings().Get(ctx, key)
		return err
	})
	return value, err
}

// TestWriterForKill is the child of the tests below: it appends to the outbox, for ever
// or so many times, and prints each number once it is committed.
func TestWriterForKill(t *testing.T) {
	path := os.Getenv("POSTERN_TEST_KILL")
	if path == "" {
		return // not the child
	}
	s, err := sqlstore.Open(context.Background(), engine(path))
	if err != nil {
		t.Fatal(err)
	}
	most, _ := strconv.Atoi(os.Getenv("POSTERN_TEST_WRITES")) // 0: for ever
	for n := 1; ; n++ {
		var seq int64
		err := s.Write(context.Background(), func(tx store.Tx) (err error) {
			seq, err = tx.Outbox().Append(context.Background(), postern.Event{ID: "ev_x", At: time.Now()}, "")
			if err != nil {
				return err
			}
			return tx.Settings().Put(context.Background(), "seq", strconv.FormatInt(seq, 10))
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("committed %d\n", seq)
		if n == most {
			_ = s.Close()
			return
		}
	}
}

// B5-3: after kill -9 the database opens clean, holds all that was committed, and
// nothing by halves.
func TestKillNineLosesNothingCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	child := exec.Command(os.Args[0], "-test.run=^TestWriterForKill$") //nolint:gosec // this very binary
	child.Env = append(os.Environ(), "POSTERN_TEST_KILL="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var committed int64
	for lines := bufio.NewScanner(out); committed < 300 && lines.Scan(); {
		if number, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
			if committed, err = strconv.ParseInt(number, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if committed < 300 {
		t.Fatalf("the child ended after %d", committed)
	}
	s := open(t, path)
	ctx := t.Context()
	err = s.Read(ctx, func(tx store.Tx) error {
		head, err := tx.Outbox().Head(ctx)
		if err != nil {
			return err
		}
		records, err := tx.Outbox().After(ctx, 0, int(head)+1)
		if err != nil {
			return err
		}
		setting, err := tx.Settings().Get(ctx, "seq")
		if head < committed || int64(len(records)) != head || setting != strconv.FormatInt(head, 10) {
			t.Errorf("%d were committed; found head %d, %d records, setting %s", committed, head, len(records), setting)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	checkIntegrity(t, s)
	if err := put(ctx, s, "after", "the crash"); err != nil {
		t.Errorf("the reopened database takes no writes: %v", err)
	}
}

func checkIntegrity(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	var verdict string
	if err := s.WriteDB().QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
}

// B5-17: a full disk fails writes with a code, reads go on, and it recovers by itself.
func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "postern.db"))
	if err := put(ctx, s, "k", "before"); err != nil {
		t.Fatal(err)
	}
	limit := func(pages string) {
		if _, err := s.WriteDB().Exec("PRAGMA max_page_count = " + pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // SQLite makes of this: as many as there are now
	if err := put(ctx, s, "k", strings.Repeat("x", 1<<20)); !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Fatalf("a write to a full disk: %v, want CodeStoreUnavailable", err)
	}
	if value, err := get(ctx, s, "k"); value != "before" || err != nil {
		t.Errorf("read beside a full disk: %q, %v", value, err)
	}
	limit("1000000")
	if err := put(ctx, s, "k", "after"); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
	checkIntegrity(t, s)
}

// B5-18: a lock that somebody else holds stops writes with a code, and no reads.
func TestLockedByAnotherProcess(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "postern.db")
	impatient := engine(path)
	impatient.BusyTimeout = 10 * time.Millisecond
	s, err := sqlstore.Open(ctx, impatient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := put(ctx, s, "k", "before"); err != nil {
		t.Fatal(err)
	}
	blocker := open(t, path)
	err = blocker.Write(ctx, func(store.Tx) error { // BEGIN IMMEDIATE holds the lock
		if err := put(ctx, s, "k", "meanwhile"); !postern.HasCode(err, postern.CodeStoreUnavailable) {
			t.Errorf("a write while locked: %v, want CodeStoreUnavailable", err)
		}
		if value, err := get(ctx, s, "k"); value != "before" || err != nil {
			t.Errorf("a read while locked: %q, %v", value, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, s, "k", "after"); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
}

// Security data that cannot be read fails closed: no rules would mean all rights.
func TestDamagedCredentialIsNotAdmitted(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "postern.db"))
	err := s.Write(ctx, func(tx store.Tx) error {
		if err := tx.Accounts().Create(ctx, postern.Account{ID: "ac_1"}); err != nil {
			return err
		}
		if err := tx.Users().Create(ctx, store.User{Meta: store.Meta{ID: "usr_1", Account: "ac_1"}}); err != nil {
			return err
		}
		return tx.Credentials().Create(ctx, store.Credential{Meta: store.Meta{ID: "cr_1", Account: "ac_1"}, Owner: "usr_1"})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{
		`UPDATE credentials SET acl = 'null'`,
		`UPDATE credentials SET acl = ''`,
		`UPDATE credentials SET acl = '["deny:everything"]'`,
		`UPDATE credentials SET acl = '[]', verifier = x'00'`,
	} {
		if _, err := s.WriteDB().Exec(damage); err != nil {
			t.Fatal(err)
		}
		err := s.Read(ctx, func(tx store.Tx) error {
			_, err := tx.Credentials().Get(ctx, "", "cr_1")
			return err
		})
		if err == nil {
			t.Errorf("after %s the credential is still read", damage)
		}
	}
}
