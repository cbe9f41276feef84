package service_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
)

func TestTokensAreTheIdAndASecret(t *testing.T) {
	seen := make(map[string]bool)
	for range 200 {
		id := "cr_" + ksuid.New().String()
		token, verifier := service.NewToken(id)
		unique, secret, found := strings.Cut(token.Reveal(), "_")
		if !found || "cr_"+unique != id || len(secret) != 21 {
			t.Fatalf("token %q of %s", token.Reveal(), id)
		}
		if sha256.Sum256([]byte(secret)) != verifier {
			t.Fatal("the verifier is not the secret's SHA-256")
		}
		if seen[secret] {
			t.Fatal("the same secret twice")
		}
		seen[secret] = true
		gotID, hash, ok := service.ParseToken(token, "cr")
		if !ok || gotID != id || hash != verifier {
			t.Fatalf("parsed %q, %v", gotID, ok)
		}
	}
}

// Every character of base62 appears about equally often.
func TestSecretsAreUniform(t *testing.T) {
	counts := make(map[rune]int)
	const tokens = 4000
	for range tokens {
		token, _ := service.NewToken("cr_x")
		_, secret, _ := strings.Cut(token.Reveal(), "_")
		for _, c := range secret {
			counts[c]++
		}
	}
	mean := tokens * 21 / 62
	for c, n := range counts {
		if n < mean*3/4 || n > mean*5/4 {
			t.Errorf("%q appears %d times, about %d are expected", c, n, mean)
		}
	}
	if len(counts) != 62 {
		t.Errorf("%d different characters, want 62", len(counts))
	}
}

func FuzzParseToken(f *testing.F) {
	good, _ := service.NewToken("cr_" + ksuid.New().String())
	for _, seed := range []string{"", "_", good.Reveal(), good.Reveal() + "x", " " + good.Reveal(), good.Reveal()[1:],
		strings.ReplaceAll(good.Reveal(), "_", "-"), strings.Repeat("é", 25), "cr_" + good.Reveal(), strings.Repeat("0", 49)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, hash, ok := service.ParseToken(postern.Secret(text), "cr")
		if !ok {
			if id != "" || hash != [32]byte{} {
				t.Fatalf("a refused token gave %q", id)
			}
			return
		}
		unique, secret, _ := strings.Cut(text, "_")
		if "cr_"+unique != id || sha256.Sum256([]byte(secret)) != hash {
			t.Fatalf("%q was read as something else: %q", text, id)
		}
		if len(text) != 49 || strings.ContainsFunc(unique+secret, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			t.Fatalf("%q was accepted", text)
		}
	})
}
