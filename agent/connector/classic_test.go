package connector_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/agent/connector"
)

// Lines as they are in the documentation of outsystemscc. S4-31
func TestClassic(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(connector.NewClassic(&out, slog.LevelInfo)).With("gateway", "sg_1", "remote", "R:8081:db:80")
	log.Info("connecting", "server", "ws://10.0.0.1:80")
	log.Info("connecting", "server", "wss://x:443/sg_1", "proxy", "http://ada:xxxxx@proxy:3128")
	log.Info("connected", "latency", 733439*time.Nanosecond, "wire", "chisel-v3")
	log.Warn("connection error", "err", "websocket: bad handshake", "attempt", 0, "most", -1)
	log.Warn("connection error", "err", "EOF\n2022/11/10 12:14:42 client: Connected", "attempt", 2, "most", -1)
	log.Warn("connection error", "err", "no", "attempt", 2, "most", 7)
	log.Info("retrying", "in", 1600*time.Millisecond)
	log.Debug("not shown")
	log.Warn("the target cannot be reached", "consumer", "", "err", "dial tcp: refused")
	want := []string{
		"Connecting to ws://10.0.0.1:80", "Connecting to wss://x:443/sg_1 via http://ada:xxxxx@proxy:3128",
		"Connected (Latency 733.439µs)", "Connection error: websocket: bad handshake",
		"Connection error: EOF 2022/11/10 12:14:42 client: Connected (Attempt: 2/unlimited)", "Connection error: no (Attempt: 2/7)",
		"Retrying in 1.6s...", `the target cannot be reached remote=R:8081:db:80 err="dial tcp: refused"`, "",
	}
	lines := strings.Split(out.String(), "\n")
	form := regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d client: (.*)$`)
	if len(lines) != len(want) {
		t.Fatalf("%q", lines)
	}
	for i, line := range lines {
		match := form.FindStringSubmatch(line)
		if want[i] == "" && line == "" {
			continue
		}
		if match == nil || match[1] != want[i] {
			t.Errorf("%q, want %q", line, want[i])
		}
	}
}

func TestParseRemotes(t *testing.T) {
	// S4-50: the line of the documentation's own example.
	remotes, warnings, err := connector.ParseRemotes([]string{"R:8081:192.168.0.3:8393", " "})
	if err != nil || len(remotes) != 1 || len(warnings) != 1 || !strings.Contains(warnings[0], "backslash") {
		t.Errorf("%v, %q, %v", remotes, warnings, err)
	}
	// S4-49: TCP and UDP of one port are two.
	if _, _, err := connector.ParseRemotes([]string{"R:8081:a:1", "R:8081:a:1/udp"}); err != nil {
		t.Error(err)
	}
	_, _, err = connector.ParseRemotes([]string{"R:8081:a:1", "R:8082:a:1", "R:8081:b:2"})
	if err == nil || !strings.Contains(err.Error(), "invalid Remote configuration: local port '8081' is duplicated") {
		t.Error(err)
	}
}
