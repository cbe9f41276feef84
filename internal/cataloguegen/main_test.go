package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generate(t *testing.T, catalogue string) (code, page string, err error) {
	t.Helper()
	dir := t.TempDir()
	in, goFile, docs := filepath.Join(dir, "e.json"), filepath.Join(dir, "c.go"), filepath.Join(dir, "e.md")
	if err := os.WriteFile(in, []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, goFile, docs); err != nil {
		return "", "", err
	}
	for file, text := range map[string]*string{goFile: &code, docs: &page} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		*text = string(data)
	}
	return code, page, nil
}

func TestGenerate(t *testing.T) {
	code, page, err := generate(t, `[{"name": "Gone", "code": "ERR_POSTERN_1", "wire": "ERR_NGROK_2", "status": 410, "title": "It is \"gone\"", "fix": "Look elsewhere."}]`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CodeGone Code = \"ERR_POSTERN_1\"", `Wire: "ERR_NGROK_2", Status: 410, Title: "It is \"gone\""`, "DO NOT EDIT"} {
		if !strings.Contains(code, want) {
			t.Errorf("the Go file has no %q:\n%s", want, code)
		}
	}
	for _, want := range []string{"## ERR_POSTERN_1", "HTTP status 410; shown to ngrok's clients as ERR_NGROK_2", "Look elsewhere."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

func TestBadCataloguesAreRefused(t *testing.T) {
	const good = `{"name": "A", "code": "ERR_NGROK_1", "status": 400, "title": "T", "fix": "F."}`
	for name, catalogue := range map[string]string{
		"no JSON":         `[`,
		"unknown field":   strings.Replace("["+good+"]", `"fix"`, `"cure"`, 1),
		"repeated":        "[" + good + "," + good + "]",
		"same code":       "[" + good + "," + strings.Replace(good, `"A"`, `"B"`, 1) + "]",
		"no title":        strings.Replace("["+good+"]", `"T"`, `""`, 1),
		"no error status": strings.Replace("["+good+"]", "400", "200", 1),
		"ours, not shown": strings.Replace("["+good+"]", "ERR_NGROK_1", "ERR_POSTERN_1", 1),
	} {
		if _, _, err := generate(t, catalogue); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
