package localapi_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/localapi"
)

// S1-30: what was started with persist is there after a restart, until it is stopped.
func TestPersist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "tunnels.json")
	open := func() *localapi.Saved {
		t.Helper()
		saved, err := localapi.OpenSaved(path)
		if err != nil {
			t.Fatal(err)
		}
		return saved
	}
	a := newAPI(t, func(c *localapi.Config) { c.Saved = open() })
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
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("drafts are left: %v", left)
	}
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
