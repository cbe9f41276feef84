package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// apiCLI runs "postern api" against a server of its own, whose names the command line
// resolves to loopback by itself.
type apiCLI struct {
	t           *testing.T
	environment []string
	dir         string
}

func newAPICLI(t *testing.T) *apiCLI {
	t.Helper()
	started, err := program.NewServer(posternBinary, "localhost", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: started, t: t, https: started.HTTPS, http: started.HTTP, admin: started.Admin}
	s.start()
	s.bootstrap()
	home := t.TempDir()
	return &apiCLI{t: t, dir: home, environment: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"POSTERN_CONNECT_URL=connect.localhost:" + strings.TrimPrefix(s.ConnectURL(), "127.0.0.1:"),
		"POSTERN_CONNECT_CAS=" + s.caFile, "NGROK_API_KEY=" + s.APIKey,
	}}
}

// run gives what a command prints on stdout; wrong is the code of the failure that is
// wanted, "" for none.
func (a *apiCLI) run(wrong string, stdin string, args ...string) string {
	a.t.Helper()
	return a.runAs(posternBinary, wrong, stdin, args...)
}

func (a *apiCLI) runAs(binary, wrong, stdin string, args ...string) string {
	a.t.Helper()
	command := exec.CommandContext(a.t.Context(), binary, append([]string{"api"}, args...)...)
	command.Env, command.Dir, command.Stdin = a.environment, a.dir, strings.NewReader(stdin)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	if (err != nil) != (wrong != "") || !strings.Contains(problems.String(), wrong) {
		a.t.Fatalf("api %v: %v, want %q\n%s%s", args, err, wrong, out.String(), problems.String())
	}
	return out.String()
}

func (a *apiCLI) object(text string) map[string]any {
	a.t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		a.t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return o
}

// Every step of a resource's life, by the command line and the agent's own settings.
func TestAPICommand(t *testing.T) {
	t.Parallel()
	cli := newAPICLI(t)
	if err := os.WriteFile(filepath.Join(cli.dir, "metadata.json"), []byte(`{"site":"1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	made := cli.object(cli.run("", "", "ip-policies", "create", "--description", "@@office", "--metadata", "@metadata.json"))
	id, _ := made["id"].(string)
	if made["description"] != "@office" || made["metadata"] != `{"site":"1"}` {
		t.Errorf("made %v", made)
	}
	changed := cli.object(cli.run("", "from stdin", "ip-policies", "update", id, "--description", "@-", "--metadata", ""))
	if changed["description"] != "from stdin" || changed["metadata"] != "" {
		t.Errorf("changed to %v", changed)
	}
	cli.run("", "", "ip-policies", "create", "--description", "second")
	all := cli.object(cli.run("", "", "ip-policies", "list", "--limit", "1", "--all"))
	if policies, _ := all["ip_policies"].([]any); len(policies) != 2 || all["next_page_uri"] != nil {
		t.Errorf("all pages: %v", all)
	}
	page := cli.object(cli.run("", "", "ip-policies", "list", "--limit", "1"))
	if policies, _ := page["ip_policies"].([]any); len(policies) != 1 || page["next_page_uri"] == nil {
		t.Errorf("one page: %v", page)
	}
	table := cli.run("", "", "ip-policies", "list", "--table")
	if lines := strings.Split(table, "\n"); !strings.HasPrefix(lines[0], "ID ") || !strings.Contains(table, id) || !strings.Contains(table, "from stdin") {
		t.Errorf("as a table:\n%s", table)
	}
	if text := cli.run("", "", "ip-policies", "get", id, "--table"); !strings.Contains(text, "description  from stdin") {
		t.Errorf("one as a table:\n%s", text)
	}
	cli.run("", "", "ip-policies", "delete", id)
	cli.run("ERR_POSTERN_501", "", "ip-policies", "get", id)
	cli.run("ERR_NGROK_1400", "", "ip-policies", "update", id)
	cli.run("ERR_POSTERN_", "", "ip-policies", "create", "--descripton", "x")
	cli.run("ERR_NGROK_202", "", "ip-policies", "list", "--api-key", "short")
}

// Programs that run ngrok's command line split its output at the first brace.
func TestAPICommandAsNgrok(t *testing.T) {
	t.Parallel()
	cli := newAPICLI(t)
	ngrok := filepath.Join(cli.dir, "ngrok")
	if err := os.Symlink(posternBinary, ngrok); err != nil {
		t.Fatal(err)
	}
	status, body, _ := strings.Cut(cli.runAs(ngrok, "", "", "ip-policies", "create", "-description", "x"), "\n")
	if made := cli.object(body); status != "201 Created" || made["description"] != "x" {
		t.Errorf("%q\n%v", status, made)
	}
}
