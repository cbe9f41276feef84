package e2e_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// onSmallDisk starts a server whose data directory is a disk of a few megabytes, in a mount
// namespace of its own. disk is that directory as others see it.
func onSmallDisk(t *testing.T) (s *server, disk string) {
	t.Helper()
	s = newServer(t)
	data := filepath.Join(filepath.Dir(s.Config), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	s.bootstrap() // without the server, on the disk that the other will hide
	certificate, err := os.ReadFile(s.caFile)
	if err != nil {
		t.Fatal(err)
	}
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	s.caFile = s.CAFile
	if err := os.Rename(data, data+".seed"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Wrapper = append(append([]string{"unshare", "--mount"}, mapUser()...), "sh", "-c",
		`mount -t tmpfs -o size=6m,mode=0700 tmpfs "$0" && cp -a "$0.seed/." "$0/" && exec "$@"`, data)
	s.start()
	return s, filepath.Join("/proc", fmt.Sprint(s.Process.PID()), "root", data)
}

// fill takes what is left of a disk.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	path := filepath.Join(disk, "filler")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, io.LimitReader(zeros{}, 64<<20)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk did not fill up: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// storeTrouble is what must hold while the store takes no writes, and afterwards.
type storeTrouble struct {
	*server
	policies client.Resources[resource.IPPolicy, resource.IPPolicyCreate, resource.IPPolicyUpdate]
	known    *process // the agent that was there before
	url      string
	upstream string
	made     int
}

func newStoreTrouble(s *server) *storeTrouble {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	s.t.Cleanup(service.Close)
	x := &storeTrouble{server: s, policies: client.For(s.api(), resource.IPPolicies()), upstream: strings.TrimPrefix(service.URL, "http://")}
	x.known, x.url = s.agent("http", x.upstream, "--url", "https://known."+domain)
	x.make()
	return x
}

func (x *storeTrouble) make() {
	x.t.Helper()
	if _, err := x.policies.Create(x.t.Context(), resource.IPPolicyCreate{Metadata: strings.Repeat("x", 4000)}); err != nil {
		x.t.Fatal(err)
	}
	x.made++
}

// untilRefused writes until the store refuses, which must be with the code, and soon.
func (x *storeTrouble) untilRefused() {
	x.t.Helper()
	for {
		start := time.Now()
		_, err := x.policies.Create(x.t.Context(), resource.IPPolicyCreate{Metadata: strings.Repeat("x", 4000)})
		if err == nil {
			if x.made++; x.made > 5000 {
				x.t.Fatal("the store was never full")
			}
			continue
		}
		refusal, coded := errors.AsType[*client.Error](err)
		if !coded || refusal.Status != http.StatusServiceUnavailable || refusal.Code != postern.CodeStoreUnavailable {
			x.t.Fatalf("a write is refused with %v", err)
		}
		if took := time.Since(start); took > 8*time.Second {
			x.t.Errorf("a write was refused after %v", took)
		}
		return
	}
}

// during is what goes on while the store takes no writes.
func (x *storeTrouble) during() {
	x.t.Helper()
	visitor := x.visitor()
	if _, body := fetch(x.t, visitor, x.url); body != "hello" {
		x.t.Errorf("a visitor got %q", body)
	}
	listed := 0
	for _, err := range x.policies.List(x.t.Context()) {
		if err != nil {
			x.t.Fatalf("the list: %v", err)
		}
		listed++
	}
	if listed != x.made {
		x.t.Errorf("%d policies are listed, %d were made", listed, x.made)
	}
	eventually(x.t, 10*time.Second, func() error {
		_, body, err := tryFetch(http.DefaultClient, x.AdminURL("/healthz"))
		if err != nil || !strings.Contains(body, `"status":"degraded"`) {
			return fmt.Errorf("health is %s (%v)", body, err)
		}
		return nil
	})
	// A known agent comes back to its name.
	x.known.signal(syscall.SIGKILL)
	x.known.wait(5 * time.Second)
	x.known, _ = x.agent("http", x.upstream, "--url", "https://known."+domain)
	awaitBody(x.t, visitor, x.url, "hello", 10*time.Second)
	// A new name is refused, with the code.
	stranger := x.agentProcess("http", x.upstream, "--url", "https://new."+domain)
	stranger.waitFor(string(postern.CodeStoreUnavailable), 20*time.Second)
	stranger.signal(syscall.SIGKILL)
	stranger.wait(5 * time.Second)
}

// afterwards all is well by itself.
func (x *storeTrouble) afterwards() {
	x.t.Helper()
	eventually(x.t, 15*time.Second, func() error {
		_, err := x.policies.Create(x.t.Context(), resource.IPPolicyCreate{})
		return err
	})
	eventually(x.t, 10*time.Second, func() error {
		_, body, err := tryFetch(http.DefaultClient, x.AdminURL("/healthz"))
		if err != nil || !strings.Contains(body, `"status":"ok"`) {
			return fmt.Errorf("health is %s (%v)", body, err)
		}
		return nil
	})
	_, url := x.agent("http", x.upstream, "--url", "https://new."+domain)
	awaitBody(x.t, x.visitor(), url, "hello", 10*time.Second)
}

// B5-17: the disk of the database is full.
func TestDatabaseOnAFullDisk(t *testing.T) {
	t.Parallel()
	s, disk := onSmallDisk(t)
	x := newStoreTrouble(s)
	free := fill(t, disk)
	x.untilRefused()
	x.during()
	free()
	x.afterwards()
	// SQLite would look for the file where it is in this namespace, so it gets a copy.
	copied := t.TempDir()
	for _, name := range []string{"postern.db", "postern.db-wal"} {
		content, err := os.ReadFile(filepath.Join(disk, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkNoHalves(t, filepath.Join(copied, "postern.db"))
}

// B5-18: another process holds the database's lock.
func TestDatabaseBehindAForeignLock(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	x := newStoreTrouble(s)
	path := filepath.Join(filepath.Dir(s.Config), "data", "postern.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	x.untilRefused()
	x.during()
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	x.afterwards()
	checkNoHalves(t, path)
}
