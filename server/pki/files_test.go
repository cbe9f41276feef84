package pki_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki"
)

// written writes a fresh certificate for the names and its key.
func written(t testing.TB, dir, stem string, names ...string) pki.Pair {
	t.Helper()
	pair := pki.Pair{Certificate: filepath.Join(dir, stem+".pem"), Key: filepath.Join(dir, stem+".key")}
	cert, key := certify.New(t, "", nil, certify.Names(names...)).PEM(t)
	for path, text := range map[string]string{pair.Certificate: cert, pair.Key: key} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pair
}

func load(t testing.TB, pairs ...pki.Pair) *pki.Files {
	t.Helper()
	files, err := pki.LoadFiles(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// served returns the first name of what a client that asks for name is shown.
func served(t testing.TB, files *pki.Files, name string) string {
	t.Helper()
	cert, err := files.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	if cert == nil {
		return ""
	}
	return cert.Leaf.DNSNames[0]
}

func TestFilesMatchNames(t *testing.T) {
	dir := t.TempDir()
	files := load(t,
		written(t, dir, "one", "example.com", "www.example.com"),
		written(t, dir, "wild", "*.example.com"),
		written(t, dir, "deep", "*.eu.example.com"),
	)
	for name, want := range map[string]string{
		"":                   "example.com", // the first pair
		"example.com":        "example.com",
		"WWW.example.com":    "example.com",
		"app.example.com":    "*.example.com",
		"x.eu.example.com":   "*.eu.example.com",
		"eu.example.com":     "*.example.com",
		"a.b.example.com":    "", // a wildcard stands for one label: RFC 9525 §6.3
		"example.org":        "",
		"*.example.com":      "",
		"not a name":         "",
		"evilexample.com":    "",
		"example.com.evil.x": "",
	} {
		if got := served(t, files, name); got != want {
			t.Errorf("%q is shown %q, want %q", name, got, want)
		}
	}
	if until := time.Until(files.Expiry()); until < 11*time.Hour || until > 13*time.Hour {
		t.Errorf("expires in %s", until)
	}
}

// B3 (Caddy CVE-2026-27586): what cannot be loaded is an error, not a fallback.
func TestLoadFilesRefuses(t *testing.T) {
	dir := t.TempDir()
	good, other := written(t, dir, "good", "example.com"), written(t, dir, "other", "example.org")
	nameless := written(t, dir, "nameless", "192.0.2.1")
	cases := map[string]struct {
		pairs   []pki.Pair
		message string
	}{
		"none":            {nil, "at least one pair"},
		"no such file":    {[]pki.Pair{good, {Certificate: filepath.Join(dir, "gone.pem"), Key: good.Key}}, "gone.pem"},
		"another's key":   {[]pki.Pair{{Certificate: good.Certificate, Key: other.Key}}, "does not match"},
		"key as the cert": {[]pki.Pair{{Certificate: good.Key, Key: good.Key}}, "good.key"},
		"no names":        {[]pki.Pair{nameless}, "names no host"},
	}
	for what, c := range cases {
		_, err := pki.LoadFiles(c.pairs)
		want := postern.CodeConfigInvalid
		if what == "no such file" {
			want = postern.CodeFileUnreadable
		}
		if !postern.HasCode(err, want) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFilesReload(t *testing.T) {
	dir := t.TempDir()
	pair := written(t, dir, "one", "example.com")
	files := load(t, pair)
	reload := func(want bool, what string) {
		t.Helper()
		if changed, err := files.Reload(); changed != want || err != nil {
			t.Fatalf("%s: changed %t, %v", what, changed, err)
		}
	}
	reload(false, "nothing changed")

	later := time.Now()
	touch := func() { // file systems may keep whole seconds only
		later = later.Add(2 * time.Second)
		for _, path := range []string{pair.Certificate, pair.Key} {
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
		}
	}
	written(t, dir, "one", "new.example.com")
	touch()
	reload(true, "renewed")
	if got := served(t, files, "new.example.com"); got != "new.example.com" || served(t, files, "example.com") != "" {
		t.Fatalf("shown %q", got)
	}

	// Half of a renewal, as between the two writes of a tool, changes nothing.
	key, err := os.ReadFile(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	written(t, dir, "one", "newer.example.com")
	newKey, err := os.ReadFile(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pair.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	touch()
	for range 2 {
		if changed, err := files.Reload(); changed || !postern.HasCode(err, postern.CodeConfigInvalid) {
			t.Fatalf("mismatch: changed %t, %v", changed, err)
		}
	}
	if got := served(t, files, "new.example.com"); got != "new.example.com" {
		t.Fatalf("after a bad reload %q is shown", got)
	}
	if err := os.WriteFile(pair.Key, newKey, 0o600); err != nil {
		t.Fatal(err)
	}
	touch()
	reload(true, "completed")
	if got := served(t, files, "newer.example.com"); got != "newer.example.com" {
		t.Fatalf("shown %q", got)
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	if changed, err := files.Reload(); changed || err == nil {
		t.Fatalf("removed: changed %t, %v", changed, err)
	}
}
