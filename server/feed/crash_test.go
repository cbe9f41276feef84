package feed_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/feed"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// crashVariable has this program be a server that dies, over the database it names.
const crashVariable = "FEED_TEST_DIES"

// crashAfter is how many events that server commits, the last of which it never
// publishes.
const crashAfter = 25

// dieAfterCommit commits and publishes, and is killed as by SIGKILL between the commit of
// the last event and its publishing. It returns false where this is no such process.
func dieAfterCommit() bool {
	path := os.Getenv(crashVariable)
	if path == "" {
		return false
	}
	database, err := sqlstore.Open(context.Background(), sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite", Source: postern.Secret(path)})
	if err != nil {
		panic(err)
	}
	bus := event.NewBus()
	f := feed.Feed{Store: database, Bus: bus}
	go f.Follow(context.Background(), "a", feed.FromOldest, func(_ context.Context, d event.Delivery) error {
		if d.Record.Seq == crashAfter {
			return errors.New("dead before it could be taken") // a follower may see a commit before the committer does
		}
		return nil
	})
	for n := 1; ; n++ {
		var r event.Record
		if err := database.Write(context.Background(), func(tx store.Tx) (err error) {
			r, err = appendTo(tx, time.Now())
			return err
		}); err != nil {
			panic(err)
		}
		if n == crashAfter {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			panic(err) // not reached: nothing is cleaned up, nothing published
		}
		bus.Publish(r)
	}
}

// B5-35: a process that is killed between a commit and its publishing loses no event, for
// those who follow the outbox: the one after it hears of each that its predecessor did not
// note as done, in order, and of the last in any case.
func TestCrashBetweenCommitAndPublish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashVariable+"="+path)
	if output, err := child.CombinedOutput(); err == nil || len(output) > 0 {
		t.Fatalf("it ended with %v:\n%s", err, output)
	}
	w := openWorld(t, path)
	j := newJournal()
	w.follow("a", feed.FromOldest, j.handle)
	deadline := time.After(20 * time.Second)
	for {
		heard := j.all()
		if len(heard) > 0 && heard[len(heard)-1] == crashAfter {
			break
		}
		select {
		case <-j.change:
		case <-deadline:
			t.Fatalf("heard %v", heard)
		}
	}
	heard := j.all()
	j.await(t, numbers(heard[0], crashAfter))
	t.Logf("heard from %d on", heard[0])

	whole := newJournal() // and nothing is missing from the outbox itself
	w.follow("b", feed.FromOldest, whole.handle)
	whole.await(t, numbers(1, crashAfter))
}
