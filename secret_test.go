package postern_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

// B2, token leakage: whichever way a secret is printed, it shows a mask.
func TestSecretNeverPrints(t *testing.T) {
	secret := postern.Secret("hunter2")
	holder := struct {
		Token postern.Secret
		List  []postern.Secret
	}{secret, []postern.Secret{secret}}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%v %+v %#v %s %q %x %v %+v %#v\n", secret, secret, secret, secret, secret, secret, holder, holder, holder)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&text, nil), slog.NewTextHandler(&text, nil)} {
		slog.New(handler).Info("seen", "secret", secret, "holder", holder)
	}
	if err := json.NewEncoder(&text).Encode(holder); err != nil {
		t.Fatal(err)
	}
	if hexed := fmt.Sprintf("%x", "hunter2"); strings.Contains(text.String(), "hunter2") || strings.Contains(text.String(), hexed) {
		t.Errorf("the secret got out:\n%s", text.String())
	}
	if secret.Reveal() != "hunter2" {
		t.Error("Reveal does not reveal")
	}
	if postern.Secret("").String() != "" {
		t.Error("no secret should look like none")
	}
}

func TestSecretEqual(t *testing.T) {
	if !postern.Secret("a").Equal("a") || postern.Secret("a").Equal("b") || postern.Secret("a").Equal("") {
		t.Error("Equal is wrong")
	}
}

func TestIDPrefix(t *testing.T) {
	for id, want := range map[string]string{"ep_2abc": "ep", "": "", "plain": "", "_x": "", "a_b_c": "a"} {
		if got := postern.IDPrefix(id); got != want {
			t.Errorf("IDPrefix(%q) = %q, want %q", id, got, want)
		}
	}
}
