package localapi_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/localapi"
)

// S1-30: what was started with persist is there after a restart, until it is stopped.
func TestPersist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "tunnels.json")
	saved := openSaved(t, path)
	open := func() *localapi.Saved { // what a later agent finds
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return openSaved(t, copied)
	}
	a := newAPI(t, func(c *localapi.Config) { c.Saved = saved })
	a.ask("POST", "/api/tunnels", `{"name":"passing","proto":"http","addr":80}`)
	if _, err := os.Stat(path); err == nil {
		t.Error("what was not to be kept is kept")
	}
	a.agent.refused["no.example.com"] = &postern.Error{Code: postern.CodeNameReserved}
	a.ask("POST", "/api/tunnels", `{"name":"refused","proto":"http","addr":80,"hostname":"no.example.com","persist":true}`)
	a.ask("POST", "/api/tunnels", `{"name":"kept","proto":"http","addr":"8080","basic_auth":["u:password"],"persist":true}`)
	a.ask("POST", "/api/endpoints", `{"name":"v3","url":"https://v3.example.com","upstream":{"url":"9000"},"persist":true}`)
	a.ask("PUT", "/api/endpoints/put", `{"upstream":{"url":"9001"},"persist":true}`)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	endpoints, problems := open().Endpoints(true)
	if len(problems) > 0 || len(endpoints) != 3 || endpoints[0].Name != "kept" || endpoints[0].Upstream != "8080" || len(endpoints[0].Also) != 1 ||
		endpoints[0].BasicAuth[0] != "u:password" || endpoints[1].URL.Host != "v3.example.com" || endpoints[2].Name != "put" || !endpoints[2].Persist {
		t.Fatalf("%+v, %v", endpoints, problems)
	}

	a.ask("DELETE", "/api/tunnels/kept%20%28http%29", "")
	a.ask("PUT", "/api/endpoints/put", `{"upstream":{"url":"9001"}}`) // not any more
	if endpoints, _ := open().Endpoints(false); len(endpoints) != 2 || endpoints[0].Name != "v3" && endpoints[0].Name != "kept" {
		t.Errorf("%+v", endpoints)
	}
	a.ask("DELETE", "/api/tunnels/kept", "")
	a.ask("DELETE", "/api/endpoints/v3", "")
	if endpoints, _ := open().Endpoints(false); len(endpoints) != 0 {
		t.Errorf("%+v", endpoints)
	}
	if left, _ := filepath.Glob(path + ".*"); !slices.Equal(left, []string{path + ".lock"}) {
		t.Errorf("drafts are left: %v", left)
	}
}

func openSaved(t *testing.T, path string) *localapi.Saved {
	t.Helper()
	saved, err := localapi.OpenSaved(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = saved.Close() })
	return saved
}

// Of two agents with one file only one restores from it and writes to it: neither loses
// what the other saved.
func TestSavedBelongsToOneAgent(t *testing.T) {
	const body = `{"name":"NAME","proto":"http","addr":80,"persist":true}`
	path := filepath.Join(t.TempDir(), "tunnels.json")
	first, second := openSaved(t, path), openSaved(t, path) // there is nothing to keep yet
	one := newAPI(t, func(c *localapi.Config) { c.Saved = first })
	other := newAPI(t, func(c *localapi.Config) { c.Saved = second })
	if w := one.ask("POST", "/api/tunnels", strings.Replace(body, "NAME", "one", 1)); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := other.ask("POST", "/api/tunnels", strings.Replace(body, "NAME", "other", 1)); w.Code != 500 || !strings.Contains(w.Body.String(), "another agent") || len(other.agent.Tunnels()) != 0 {
		t.Errorf("the second agent: %d %s", w.Code, w.Body)
	}
	if w := other.ask("POST", "/api/tunnels", `{"name":"passing","proto":"http","addr":80}`); w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, err := localapi.OpenSaved(path); !postern.HasCode(err, postern.CodeConflict) || !strings.Contains(err.Error(), path) {
		t.Errorf("opened by a second agent: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if w := other.ask("POST", "/api/tunnels", strings.Replace(body, "NAME", "other", 1)); w.Code != 201 {
		t.Errorf("once the first has ended: %d %s", w.Code, w.Body)
	}
	if endpoints, _ := second.Endpoints(false); len(endpoints) != 2 || endpoints[0].Name != "one" {
		t.Errorf("what the first had saved is lost: %+v", endpoints)
	}
}

// A restart gives an endpoint no more time than it was started for.
func TestSavedTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saved := openSaved(t, filepath.Join(t.TempDir(), "tunnels.json"))
		a := newAPI(t, func(c *localapi.Config) { c.Saved = saved })
		if w := a.ask("POST", "/api/tunnels", `{"name":"brief","proto":"http","addr":80,"ttl":"1h","persist":true}`); w.Code != 201 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		time.Sleep(40 * time.Minute)
		if endpoints, _ := saved.Endpoints(false); len(endpoints) != 1 || endpoints[0].TTL != 20*time.Minute {
			t.Errorf("%+v", endpoints)
		}
		time.Sleep(20 * time.Minute)
		if endpoints, _ := saved.Endpoints(false); len(endpoints) != 0 {
			t.Errorf("its time is over: %+v", endpoints)
		}
	})
}

func TestSavedTrouble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tunnels.json")
	if err := os.WriteFile(path, []byte(`[{"name":"a"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localapi.OpenSaved(path); !postern.HasCode(err, postern.CodeFileUnreadable) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte(`[{"name":"a","kind":"tunnel","body":{"name":"a","proto":"zzz","addr":1}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	saved, err := localapi.OpenSaved(path)
	if err != nil {
		t.Fatal(err)
	}
	if endpoints, problems := saved.Endpoints(false); len(endpoints) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Error(), "Invalid protocol name 'zzz'") {
		t.Errorf("%v, %v", endpoints, problems)
	}

	// Where nothing can be written, nothing stays online that was to be kept.
	folder := filepath.Join(t.TempDir(), "new")
	blocked, err := localapi.OpenSaved(filepath.Join(folder, "tunnels.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // no folder any more
		t.Fatal(err)
	}
	a := newAPI(t, func(c *localapi.Config) { c.Saved = blocked })
	w := a.ask("POST", "/api/tunnels", `{"name":"kept","proto":"http","addr":"8080","persist":true}`)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "could not be saved") || len(a.agent.Tunnels()) != 0 {
		t.Errorf("%d %s, %+v", w.Code, w.Body, a.agent.Tunnels())
	}
}
