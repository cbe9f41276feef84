package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// An operator manages keys on the machine alike while the server runs and while it does
// not.
func TestKeysWithoutTheNetwork(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(map[bool]string{false: "stopped", true: "running"}[running], func(t *testing.T) {
			c := testConfig(t)
			if running {
				start(t, c, server.Options{})
			}
			logger := testkit.Logger(t)
			if _, err := server.CreateKey(t.Context(), c, logger, server.NewKey{Kind: server.AuthtokenKey}); !postern.HasCode(err, postern.CodeNotFound) || !strings.Contains(err.Error(), "bootstrap") {
				t.Errorf("before bootstrap: %v", err)
			}
			first := bootstrap(t, c)
			agent := key(t)(server.CreateKey(t.Context(), c, logger, server.NewKey{Kind: server.AuthtokenKey, Description: "laptop", ACL: []string{"bind:*.example.com"}}))
			program := key(t)(server.CreateKey(t.Context(), c, logger, server.NewKey{Kind: server.APIKey, Owner: first.UserID, Description: "ci"}))
			if agent.Token == "" || agent.OwnerID != first.UserID || agent.ACL[0] != "bind:*.example.com" || program.Token == "" || program.AccountID != first.AccountID {
				t.Errorf("made %+v, %+v", agent, program)
			}
			for id, made := range map[string]server.Key{agent.ID: agent, program.ID: program} {
				rotated := key(t)(server.RotateKey(t.Context(), c, logger, id, time.Hour))
				if rotated.Token == "" || rotated.Token == made.Token || rotated.PreviousUntil.Before(time.Now().Add(50*time.Minute)) || rotated.RotatedAt.IsZero() {
					t.Errorf("rotated %+v", rotated)
				}
			}
			list, err := server.ListKeys(t.Context(), c, logger)
			if err != nil || len(list) != 4 {
				t.Fatalf("%d keys, %v", len(list), err)
			}
			overlapping := 0
			for _, k := range list {
				if k.Token != "" {
					t.Errorf("the list shows a token: %+v", k)
				}
				if !k.PreviousUntil.IsZero() {
					overlapping++
				}
			}
			if overlapping != 2 {
				t.Errorf("%d keys overlap", overlapping)
			}
			if retired := key(t)(server.RetireKey(t.Context(), c, logger, agent.ID)); !retired.PreviousUntil.IsZero() {
				t.Errorf("retired %+v", retired)
			}
			for _, id := range []string{agent.ID, program.ID} {
				key(t)(server.RevokeKey(t.Context(), c, logger, id))
				for what, do := range map[string]func() (server.Key, error){
					"revoke": func() (server.Key, error) { return server.RevokeKey(t.Context(), c, logger, id) },
					"rotate": func() (server.Key, error) { return server.RotateKey(t.Context(), c, logger, id, 0) },
					"retire": func() (server.Key, error) { return server.RetireKey(t.Context(), c, logger, id) },
				} {
					if _, err := do(); !postern.HasCode(err, postern.CodeNotFound) {
						t.Errorf("%s of what was revoked: %v", what, err)
					}
				}
			}
			testRefusedKeys(t, c)
		})
	}
}

func testRefusedKeys(t *testing.T, c server.Config) {
	t.Helper()
	logger := testkit.Logger(t)
	for name, test := range map[string]struct {
		n    server.NewKey
		code postern.Code
	}{
		"no kind":             {server.NewKey{}, postern.CodeFieldInvalid},
		"an API key with ACL": {server.NewKey{Kind: server.APIKey, ACL: []string{"*"}}, postern.CodeFieldInvalid},
		"a bad rule":          {server.NewKey{Kind: server.AuthtokenKey, ACL: []string{"nothing"}}, postern.CodeACLInvalid},
		"nobody's":            {server.NewKey{Kind: server.APIKey, Owner: "usr_nobody"}, postern.CodeNotFound},
	} {
		if _, err := server.CreateKey(t.Context(), c, logger, test.n); !postern.HasCode(err, test.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := server.RotateKey(t.Context(), c, logger, "laptop", 0)
	_, other := server.RevokeKey(t.Context(), c, logger, "ak_nobody")
	if err := errors.Join(err, other); !postern.HasCode(err, postern.CodeNotFound) || !strings.Contains(err.Error(), "keys list") || other == nil {
		t.Errorf("%v", err)
	}
	list, err := server.ListKeys(t.Context(), c, logger)
	if err != nil || len(list) != 2 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

func key(t *testing.T) func(server.Key, error) server.Key {
	t.Helper()
	return func(k server.Key, err error) server.Key {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

// Agents with the old token and with the new one connect during the overlap; a
// connection that is there outlives it.
func TestAgentsDuringARotation(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	first := n.Keys().Authtoken
	list, err := server.ListKeys(t.Context(), c, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := n.agent(link.Hello{Token: postern.Secret(first)})
	bound := n.online(before, "https://app."+domain, "before")
	rotated := key(t)(server.RotateKey(t.Context(), c, testkit.Logger(t), list[0].ID, time.Hour))
	for _, token := range []string{first, rotated.Token} {
		agent, _ := n.agent(link.Hello{Token: postern.Secret(token)})
		agent.Close(nil)
	}
	key(t)(server.RetireKey(t.Context(), c, testkit.Logger(t), list[0].ID))
	if _, body := n.get(n.Visitor(), bound.PublicURL); body != "before" {
		t.Errorf("the agent that was connected serves %q", body)
	}
	if _, _, err := n.Service().Authenticate(t.Context(), postern.Secret(first)); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("the retired token: %v", err)
	}
	agent, _ := n.agent(link.Hello{Token: postern.Secret(rotated.Token)})
	agent.Close(nil)
}
