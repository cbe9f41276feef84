//go:build unix

package session_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

// site is a directory with something to find, and something not to.
func site(t *testing.T) string {
	t.Helper()
	outside, dir := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(outside, "secret.txt"):     "outside",
		filepath.Join(dir, "hello.txt"):          "hello, visitor",
		filepath.Join(dir, ".env"):               "PASSWORD=1",
		filepath.Join(dir, ".git", "config"):     "[core]",
		filepath.Join(dir, "docs", "index.html"): "<p>docs",
		filepath.Join(dir, "docs", "a b.txt"):    "blank",
		filepath.Join(dir, "open", "x.txt"):      "x",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"escape.txt": filepath.Join(outside, "secret.txt"), "up": "..", "etc": "/etc", "inside.txt": "hello.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFiles(t *testing.T) {
	files, err := session.NewFiles(site(t), testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	visitor := visit(t, func(ctx context.Context, s link.Stream) { files.ServeStream(ctx, link.Header{}, s) })
	answers := bufio.NewReader(visitor)
	for _, c := range []struct {
		method, target, extra string
		status                int
		body                  string
	}{
		{"GET", "/hello.txt", "", 200, "hello, visitor"},
		{"GET", "/hello.txt", "Range: bytes=7-13\r\n", 206, "visitor"},
		{"GET", "/inside.txt", "", 200, "hello, visitor"},
		{"GET", "/docs/", "", 200, "<p>docs"},
		{"GET", "/docs/a%20b.txt", "", 200, "blank"},
		{"GET", "/docs", "", 301, ""},
		{"HEAD", "/hello.txt", "", 200, ""},
		{"POST", "/hello.txt", "Content-Length: 0\r\n", 405, "files can be read only\n"},
		{"GET", "/.env", "", 404, "404 page not found\n"},
		{"GET", "/.git/config", "", 404, "404 page not found\n"},
		{"GET", "/%2egit/config", "", 404, "404 page not found\n"},
		{"GET", "/escape.txt", "", 404, "404 page not found\n"},
		{"GET", "/up/", "", 404, "404 page not found\n"},
		{"GET", "/etc/passwd", "", 404, "404 page not found\n"},
		{"GET", "/pipe", "", 404, "404 page not found\n"},
		{"GET", "/..%2f..%2f..%2fetc/passwd", "", 404, "404 page not found\n"},
		{"GET", "/a%00b", "", 404, "404 page not found\n"},
	} {
		_, _ = io.WriteString(visitor, c.method+" "+c.target+" HTTP/1.1\r\nHost: h\r\n"+c.extra+"\r\n")
		response, err := http.ReadResponse(answers, &http.Request{Method: c.method})
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.target, err)
		}
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != c.status || string(body) != c.body || err != nil {
			t.Errorf("%s %s: %d %q, %v; want %d %q", c.method, c.target, response.StatusCode, body, err, c.status, c.body)
		}
	}
}

func TestFilesLists(t *testing.T) {
	files, err := session.NewFiles(site(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	visitor := visit(t, func(ctx context.Context, s link.Stream) { files.ServeStream(ctx, link.Header{}, s) })
	_, _ = io.WriteString(visitor, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	text, err := io.ReadAll(visitor)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello.txt", "inside.txt", "docs/", "open/"} {
		if !strings.Contains(string(text), ">"+name+"<") {
			t.Errorf("the listing lacks %s:\n%s", name, text)
		}
	}
	for _, name := range []string{".env", ".git", "escape.txt", "up", "etc", "pipe"} {
		if strings.Contains(string(text), ">"+name) {
			t.Errorf("the listing shows %s:\n%s", name, text)
		}
	}
}

func TestFilesWantADirectory(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "absent"), filepath.Join(site(t), "hello.txt")} {
		if _, err := session.NewFiles(path, nil); !postern.HasCode(err, postern.CodeFileUnreadable) {
			t.Errorf("NewFiles(%q) = %v", path, err)
		}
	}
}
