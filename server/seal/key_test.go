package seal_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
)

func decoded(t testing.TB, key seal.Key) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key.Encode().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The id of a key is for ever: rows and backups name it.
func TestKeyID(t *testing.T) {
	key, err := seal.ParseKey("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		t.Fatal(err)
	}
	if got := key.ID().String(); got != "c777a850c51a4fe8" {
		t.Errorf("id %s", got)
	}
	if id, err := seal.ParseKeyID(key.ID().String()); err != nil || id != key.ID() {
		t.Errorf("%v, %v", id, err)
	}
	for _, text := range []string{"", "00", strings.ToUpper("abcdefabcdefabcd"), "0123456789abcdeg", "0123456789abcdef00"} {
		if _, err := seal.ParseKeyID(text); !postern.HasCode(err, postern.CodeFieldInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	// A text of the first release opens in every later one.
	text, err := base64.StdEncoding.DecodeString("Acd3qFDFGk/oPxMDdvgTneRbmQOMdPVjm8nGaqyjqBOUMpHKBWADac7aSB0HEGzIJZW9/aFwfQE=")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring(t, key).Unseal(text, seal.Row("vault_secret", "vs_1", "value")); err != nil || string(got) != "hunter2" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestParseKey(t *testing.T) {
	good := seal.NewKey().Encode().Reveal()
	for name, text := range map[string]string{
		"nothing":       "",
		"a word":        "passphrase",
		"hex":           strings.Repeat("0123456789abcdef", 4),
		"short":         base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"long":          base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"zeros":         base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"no padding":    strings.TrimRight(good, "="),
		"URL alphabet":  strings.Repeat("-_", 21) + "8=",
		"trailing bits": good[:42] + "B=",
		"a line break":  good[:20] + "\n" + good[20:],
		"quoted":        `"` + good + `"`,
	} {
		_, err := seal.ParseKey(text)
		if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(text) > 5 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the message quotes it: %v", name, err)
		}
	}
	if key, err := seal.ParseKey(good); err != nil || key.Encode().Reveal() != good {
		t.Errorf("%v", err)
	}
}

func TestKeyFile(t *testing.T) {
	first, second := seal.NewKey(), seal.NewKey()
	text := seal.FormatKeys([]seal.Key{first, second})
	keys, err := seal.ParseKeys(text)
	if err != nil || !slices.Equal(keys, []seal.Key{first, second}) {
		t.Fatalf("%v, %v", keys, err)
	}
	windows := bytes.ReplaceAll(append([]byte("\n  # mine\n\n"), text...), []byte("\n"), []byte("\r\n"))
	if keys, err := seal.ParseKeys(windows); err != nil || len(keys) != 2 {
		t.Errorf("with other line ends: %v, %v", keys, err)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":       {"", "no sealing key"},
		"comments":    {"# none yet\n", "no sealing key"},
		"a bad line":  {string(text) + "key\n", "line 5: "},
		"twice":       {string(text) + second.Encode().Reveal(), "twice"},
		"two on one":  {first.Encode().Reveal() + " " + second.Encode().Reveal(), "line 1: "},
		"a long line": {strings.Repeat("A", 65<<10), "larger than"},
	} {
		if _, err := seal.ParseKeys([]byte(test.text)); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is read as keys is written to be read as the same.
func FuzzParseKeys(f *testing.F) {
	f.Add(seal.FormatKeys([]seal.Key{seal.NewKey(), seal.NewKey()}))
	f.Add([]byte("# comment\r\n\r\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := seal.ParseKeys(text)
		if err != nil {
			if !postern.HasCode(err, postern.CodeConfigInvalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if again, err := seal.ParseKeys(seal.FormatKeys(keys)); err != nil || !slices.Equal(again, keys) {
			t.Errorf("%v, %v", again, err)
		}
	})
}
