package uploaded_test

import (
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

// FuzzChain: what is accepted consists of the certificates that came out, and of nothing
// else that would be shown to others.
func FuzzChain(f *testing.F) {
	root := issue(f, "Root", certify.P256(f), nil, certify.Authority)
	leaf := issue(f, "www.example.com", certify.Ed25519(f), root)
	good, key := certify.Chain(leaf, root), certify.Key(f, leaf.Key)
	for _, text := range []string{
		good, certify.Chain(root, leaf), strings.ReplaceAll(good, "\n", "\r\n"), good + key, key, "x" + good, good + "x", good[:200], "\n \n" + good,
		certify.Block("CERTIFICATE", leaf.Raw, "a", "b"), certify.Block("EC PARAMETERS", nil) + key, certify.Block("ENCRYPTED PRIVATE KEY", leaf.Raw), "-----BEGIN -----END ",
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
	key := certify.Key(f, certify.P256(f))
	for _, text := range []string{
		key, certify.Key(f, certify.Ed25519(f)), "x" + key, key + key, key[:80], certify.Block("EC PARAMETERS", []byte{5, 0}) + key,
		certify.Block("PRIVATE KEY", []byte{1}, "Proc-Type", "4,ENCRYPTED"), certify.Block("OPENSSH PRIVATE KEY", nil), certify.Block("CERTIFICATE", nil),
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
