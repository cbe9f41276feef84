package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every message of the command line is in testdata/errors.golden: a line "$ …", then
// what the command prints and its status. "go test ./cmd/postern -run Golden -update"
// writes the file anew.
func TestGoldenErrors(t *testing.T) {
	const golden = "testdata/errors.golden"
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	files := goldenFiles(t)
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if comment := strings.HasPrefix(line, "#"); comment {
			out.WriteString("\n" + line)
		}
		if !isCommand {
			continue
		}
		words := strings.Split(strings.ReplaceAll(command, "DIR", files), "·")
		args := strings.Fields(words[0])
		if len(words) > 1 { // arguments with blanks, or empty ones
			args = append(args, words[1:]...)
		}
		env := map[string]string{"POSTERN_CONNECT_URL": "127.0.0.1:1", "POSTERN_AUTHTOKEN": "id_secret"}
		if args[0] == "nowhere" {
			args, env = args[1:], nil
		}
		status, stdout, stderr := runPostern(t, env, args[1:]...)
		if stdout != "" {
			t.Errorf("%q prints %q on stdout", command, stdout)
		}
		fmt.Fprintf(&out, "\n$ %s\n%s[%d]\n", command, strings.ReplaceAll(stderr, files, "DIR"), status)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(strings.TrimLeft(out.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := strings.TrimLeft(out.String(), "\n"); got != string(text) {
		t.Errorf("the messages are not those of %s; got:\n%s", golden, got)
	}
}

var update = flag.Bool("update", false, "write golden files anew")

func goldenFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"web.yml":  "version: 2\ntunnels:\n  web: {proto: http, addr: 80}\n  api: {proto: http, addr: 81}\n",
		"none.yml": "version: 2\n",
		"bad.yml":  "version: 2\ntunnels:\n\tweb: {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
