package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

const drivesTerminal = "\x1b]0;title\x07\x1b[2J\u009b31m\u202e"

func drives(text string) bool {
	return strings.ContainsAny(text, "\x1b\x07\u009b\u202e\r")
}

// What a server says when it refuses is printed, and drives no terminal.
func TestErrorsAreHarmless(t *testing.T) {
	var out strings.Builder
	printError(&out, postern.Errorf(postern.CodeConflict, "refused %s\r\nERROR:  second", drivesTerminal).Because(fmt.Errorf("because %s", drivesTerminal)))
	if drives(out.String()) || !strings.Contains(out.String(), "ERROR:  ERROR:  second\n") || !strings.Contains(out.String(), `\x1b]0;title`) {
		t.Errorf("%q", out.String())
	}
	for _, args := range [][]string{{"start", "a" + drivesTerminal, "--none"}, {drivesTerminal}, {"http", "80", "--url", "https://" + drivesTerminal}} {
		if status, stdout, stderr := runPostern(t, nil, args...); status != 1 || drives(stdout+stderr) {
			t.Errorf("%q: status %d, %q %q", args, status, stdout, stderr)
		}
	}
	file := writeConfig(t, `{"key `+`\e]0;title\a`+`": 1}`)
	if _, stdout, stderr := runPostern(t, nil, "config", "check", "--config", file); drives(stdout+stderr) || !strings.Contains(stderr, `\x1b]0`) {
		t.Errorf("%q %q", stdout, stderr)
	}
}

// What an agent hands on of its server's words, "status" prints.
func TestStatusIsHarmless(t *testing.T) {
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := strings.ReplaceAll(strings.ReplaceAll(drivesTerminal, "\x1b", `\u001b`), "\x07", `\u0007`)
		fmt.Fprintf(w, `{"status":"on%[1]s","agent_version":"%[1]s","problem":"%[1]s","tunnels":[{"public_url":"https://%[1]s","config":{"addr":"%[1]s"}}]}`, said)
	}))
	defer local.Close()
	status, stdout, stderr := runPostern(t, nil, "status", "--web-addr", strings.TrimPrefix(local.URL, "http://"))
	if status != 1 || drives(stdout+stderr) || !strings.Contains(stdout, `\x1b]0;title`) {
		t.Errorf("status %d, %q %q", status, stdout, stderr)
	}
}
