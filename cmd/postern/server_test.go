package main

import (
	"bytes"
	"encoding/json"
	standardlog "log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runPostern runs one command line with an environment of its own.
func runPostern(t *testing.T, env map[string]string, args ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = execute(args, ioStreams{Name: "postern", In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: func(name string) string { return env[name] }})
	return status, stdout.String(), stderr.String()
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServerCheck(t *testing.T) {
	good := writeConfig(t, "domain: example.com\nlisten: {udp_ports: 20000-29999}\n")
	status, out, errors := runPostern(t, nil, "server", "check", "--config", good)
	if status != 0 || out != "Valid configuration for example.com, from "+good+".\n" || strings.Contains(errors, "Note:") {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}
	bad := writeConfig(t, "domian: example.com\nlimits: {connections: none}\n")
	status, out, errors = runPostern(t, nil, "server", "check", "--config", bad)
	if status != 1 || out != "" {
		t.Errorf("status %d, out %q", status, out)
	}
	for _, line := range []string{
		"ERROR:  " + bad + ":1:1: domian is not a key of the configuration; did you mean domain?",
		"ERROR:  " + bad + `:2:23: limits.connections: "none" is not a whole number`,
		"ERROR:  ERR_POSTERN_401",
	} {
		if !strings.Contains(errors, line+"\n") {
			t.Errorf("%q is not in\n%s", line, errors)
		}
	}
	// The environment and flags count as they do for the server.
	status, _, errors = runPostern(t, map[string]string{"POSTERN_CONFIG": good, "POSTERN_LOG_LEVEL": "quiet"}, "server", "check")
	if status != 1 || !strings.Contains(errors, "POSTERN_LOG_LEVEL: ") {
		t.Errorf("status %d, err %q", status, errors)
	}
}

func TestServerBootstrap(t *testing.T) {
	config := writeConfig(t, "domain: example.com\ndata_dir: "+filepath.Join(t.TempDir(), "data")+"\n")
	status, out, errors := runPostern(t, nil, "server", "bootstrap", "--config", config, "--format", "json")
	if status != 0 || errors != "" {
		t.Fatalf("status %d, err %q", status, errors)
	}
	var first map[string]string
	if err := json.Unmarshal([]byte(out), &first); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"account_id", "user_id", "api_key", "authtoken", "ca_file", "ca_pin"} {
		if first[key] == "" {
			t.Errorf("%s is missing in %s", key, out)
		}
	}
	status, out, _ = runPostern(t, nil, "server", "bootstrap", "--config", config)
	if status != 0 || !strings.Contains(out, first["account_id"]) || strings.Contains(out, first["authtoken"]) || strings.Contains(out, first["api_key"]) {
		t.Errorf("the second time: status %d, out %q", status, out)
	}
	status, _, errors = runPostern(t, nil, "server", "bootstrap", "--config", config, "--format", "xml")
	if status != 1 || !strings.Contains(errors, `--format "xml" is not json or text`) {
		t.Errorf("status %d, err %q", status, errors)
	}
}

func TestServerHelpNamesEveryKey(t *testing.T) {
	status, out, _ := runPostern(t, nil, "server", "--help")
	if status != 0 {
		t.Fatalf("status %d", status)
	}
	for _, flag := range []string{"--config", "--domain", "--listen-https", "--timeouts-drain", "--tls-certificates", "127.0.0.1:8443"} {
		if !strings.Contains(out, flag) {
			t.Errorf("the help does not name %s", flag)
		}
	}
}

// What net/http's client prints about a service goes into the log as any other line,
// with its bytes quoted, and at debug level: a service can cause it at any time.
func TestStandardLogIsAdopted(t *testing.T) {
	flags, output, level, before := standardlog.Flags(), standardlog.Writer(), slog.SetLogLoggerLevel(slog.LevelInfo), slog.Default()
	defer func() {
		slog.SetDefault(before)
		slog.SetLogLoggerLevel(level)
		standardlog.SetFlags(flags)
		standardlog.SetOutput(output)
	}()
	var quiet, loud bytes.Buffer
	adoptStandardLog(slog.New(slog.NewJSONHandler(&quiet, nil)))
	standardlog.Print("Unsolicited")
	adoptStandardLog(slog.New(slog.NewJSONHandler(&loud, &slog.HandlerOptions{Level: slog.LevelDebug})))
	standardlog.Print("Unsolicited\x1b[2J")
	var line struct{ Level, Msg string }
	if err := json.Unmarshal(loud.Bytes(), &line); err != nil || line.Level != "DEBUG" || line.Msg != "Unsolicited\x1b[2J" {
		t.Errorf("%v: %q", err, loud.String())
	}
	if quiet.Len() != 0 {
		t.Errorf("at info level: %s", quiet.String())
	}
}
