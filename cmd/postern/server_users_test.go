package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server"
)

func TestServerUsersAndAccounts(t *testing.T) {
	config := writeConfig(t, "domain: example.com\ndata_dir: "+filepath.Join(t.TempDir(), "data")+"\n")
	input := ""
	run := func(args ...string) (status int, out, errors string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		status = execute(append([]string{"server"}, append(args, "--config", config)...),
			ioStreams{Name: "postern", In: strings.NewReader(input), Out: &stdout, Err: &stderr, Env: func(string) string { return "" }})
		return status, stdout.String(), stderr.String()
	}
	says := func(want string, args ...string) string {
		t.Helper()
		status, out, errors := run(args...)
		if status != 0 || errors != "" || !strings.Contains(out, want) {
			t.Errorf("%v: status %d, %q is not in %q; err %q", args, status, want, out, errors)
		}
		return out
	}
	if status, _, errors := run("users", "invite", "a@example.com"); status != 1 || !strings.Contains(errors, "postern server bootstrap") {
		t.Errorf("before bootstrap: status %d, err %q", status, errors)
	}
	says("", "bootstrap")
	var ada server.Person
	if err := json.Unmarshal([]byte(says("", "users", "create", "A\x1b[31mda", "--email", "ada@example.com", "--format", "json")), &ada); err != nil {
		t.Fatal(err)
	}
	id := string(ada.ID)
	says("Role:       admin\n", "users", "set-role", id, "admin")
	says("Active:     no\n", "users", "deactivate", id)
	says("Active:     yes\n", "users", "activate", id)
	says("Name:       A�[31mda\n", "users", "set", id, "--email", "Ada@Example.org")
	input = "correct horse battery\nmore\n"
	if out := says("Password:   yes\n", "users", "set-password", id); strings.Contains(out, "horse") {
		t.Errorf("the password is shown: %q", out)
	}
	input = ""
	says("ada@example.org", "users", "list")
	var invitation server.Invitation
	if err := json.Unmarshal([]byte(says("", "users", "invite", "new@example.com", "--role", "read_only", "--format", "json")), &invitation); err != nil || invitation.Token == "" {
		t.Errorf("%+v, %v", invitation, err)
	}
	says("The token is not shown again.", "users", "invite", "new2@example.com")
	var account server.Account
	if err := json.Unmarshal([]byte(says("", "accounts", "create", "Customer 1", "--email", "c@example.com", "--format", "json")), &account); err != nil || account.Owner == nil {
		t.Fatalf("%+v, %v", account, err)
	}
	says("Customer 1", "accounts", "list")
	says("c@example.com", "users", "list", "--account", string(account.ID))
	limits := says("Requests per minute:  60\n", "accounts", "limits", string(account.ID), "--requests-per-minute", "60", "--endpoints", "0")
	if !strings.Contains(limits, "Endpoints:            no limit\n") || !strings.Contains(limits, "Agents:               default\n") {
		t.Errorf("limits %q", limits)
	}
	says("Requests per minute:  60\n", "accounts", "limits", string(account.ID), "--endpoints", "default")
	says("Endpoints:            default\n", "accounts", "limits", string(account.ID))
	says("The person is removed.", "users", "delete", id)
	for want, args := range map[string][]string{
		"there is no person":      {"users", "deactivate", id},
		"last owner":              {"users", "delete", string(account.Owner.ID)},
		"must have at least 10":   {"users", "set-password", string(account.Owner.ID)},
		"root":                    {"users", "create", "x", "--role", "root"},
		"somebody's on this":      {"users", "create", "x", "--email", "c@example.com"},
		"no server runs here":     {"accounts", "usage"},
		"neither a number":        {"accounts", "limits", string(account.ID), "--sessions", "many"},
		"is no id of an account":  {"accounts", "limits", "x"},
		`--format "xml" is not`:   {"users", "list", "--format", "xml"},
		"there is no account":     {"users", "create", "x", "--account", "ac_nobody"},
		"ERR_POSTERN_402":         {"users", "set-role", id},
		"an address such as name": {"users", "invite", "somebody"},
	} {
		if status, out, errors := run(args...); status != 1 || out != "" || !strings.Contains(errors, want) {
			t.Errorf("%v: status %d, out %q, err %q", args, status, out, errors)
		}
	}
	for _, about := range []string{"users", "accounts"} {
		if status, out, _ := runPostern(t, nil, "server", about); status != 0 || !strings.Contains(out, "create ") {
			t.Errorf("%s: status %d, help %q", about, status, out)
		}
	}
}

func TestPasswordsAreAskedTwice(t *testing.T) {
	for _, c := range []struct {
		typed []string
		want  string
		fails bool
	}{{[]string{"one two three", "one two three"}, "one two three", false}, {[]string{"one two three", "one two"}, "", true}, {[]string{"x"}, "", true}} {
		var out bytes.Buffer
		left := c.typed
		got, err := askPassword(&out, func() ([]byte, error) {
			if len(left) == 0 {
				return nil, errors.New("closed")
			}
			next := left[0]
			left = left[1:]
			return []byte(next), nil
		})
		if got.Reveal() != c.want || (err != nil) != c.fails || strings.Contains(out.String(), "two") {
			t.Errorf("%v: %q, %v, said %q", c.typed, got.Reveal(), err, out.String())
		}
	}
}
