package uploaded_test

import (
	"crypto/elliptic"
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

// FuzzChain: what is accepted consists of the certificates that came out, and of nothing
// else that would be shown to others.
func FuzzChain(f *testing.F) {
	root := issue(f, "Root", ecdsaKey(f, elliptic.P256()), nil, authority)
	leaf := issue(f, "www.example.com", ed25519Key(f), root)
	good, key := chainText(leaf, root), keyText(f, leaf.key)
	for _, text := range []string{
		good, chainText(root, leaf), strings.ReplaceAll(good, "\n", "\r\n"), good + key, key, "x" + good, good + "x", good[:200], "\n \n" + good,
		block("CERTIFICATE", leaf.Raw, "a", "b"), block("EC PARAMETERS", nil) + key, block("ENCRYPTED PRIVATE KEY", leaf.Raw), "-----BEGIN -----END ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if chain, err := uploaded.Chain(text); err == nil {
			rest := []byte(text)
			for _, c := range chain {
				var found *pem.Block
				if found, rest = pem.Decode(rest); found == nil || string(found.Bytes) != string(c.Raw) {
					t.Fatalf("the certificates are not those of the text")
				}
			}
			if strings.TrimSpace(string(rest)) != "" || strings.Contains(text, "PRIVATE KEY") || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Fatalf("accepted: %q", text)
			}
		} else {
			coded(t, err)
		}
		if ca, err := uploaded.Authority(text); err == nil && !ca.IsCA {
			t.Fatal("an authority that is none")
		} else if err != nil {
			coded(t, err)
		}
	})
}

// FuzzKey: what is accepted is a key that can be a server's, and what is not is not quoted.
func FuzzKey(f *testing.F) {
	key := keyText(f, ecdsaKey(f, elliptic.P256()))
	for _, text := range []string{
		key, keyText(f, ed25519Key(f)), "x" + key, key + key, key[:80], block("EC PARAMETERS", []byte{5, 0}) + key,
		block("PRIVATE KEY", []byte{1}, "Proc-Type", "4,ENCRYPTED"), block("OPENSSH PRIVATE KEY", nil), block("CERTIFICATE", nil),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := uploaded.Key(text)
		if err == nil && uploaded.KeyType(found.Public()) == "" {
			t.Fatalf("a key of the type %T", found)
		}
		if err == nil {
			return
		}
		coded(t, err)
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); len(line) > 24 && !strings.Contains(line, "-----") && strings.Contains(err.Error(), line) {
				t.Fatalf("the message quotes %q: %v", line, err)
			}
		}
	})
}

// coded sees that an error is one for clients.
func coded(t *testing.T, err error) {
	t.Helper()
	if status := postern.AsError(err).Code.Entry().Status; status != 400 || !utf8.ValidString(err.Error()) {
		t.Fatalf("%d: %q", status, err)
	}
}
