package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/promises.md names the tests that hold each promise: they must be there, and
// say so themselves.
func TestPromisesAreKeptWhereTheySay(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d+) \|.*\|([^|]*)\|$`)
	file := regexp.MustCompile("`([^`]+_test\\.go)`")
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 20 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	for _, match := range rows {
		for _, name := range file.FindAllStringSubmatch(match[2], -1) {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name[1])))
			if err != nil {
				t.Errorf("promise %s: %v", match[1], err)
				continue
			}
			if !regexp.MustCompile(`B5-` + match[1] + `\b`).Match(source) {
				t.Errorf("promise %s: %s has no test that cites B5-%s", match[1], name[1], match[1])
			}
		}
	}
}

// Every row of docs/clients.md names tests that are there.
func TestClientsAreRun(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\|(.*)\|([^|]*)\|$`)
	proof := regexp.MustCompile("((?:`Test\\w+`(?:, )?)+) in `([\\w/]+_test\\.go)`")
	found := 0
	for _, match := range row.FindAllStringSubmatch(string(page), -1) {
		if cell := strings.TrimSpace(match[2]); cell == "test" || strings.Trim(cell, "-") == "" {
			continue
		}
		found++
		named := proof.FindStringSubmatch(match[2])
		if named == nil {
			t.Errorf("no test is named for %s", match[1])
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(named[2])))
		if err != nil {
			t.Errorf("%s: %v", match[1], err)
			continue
		}
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(named[1], -1) {
			if !strings.Contains(string(source), "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("%s: %s has no %s", match[1], named[2], name)
			}
		}
	}
	if found < 10 {
		t.Fatalf("only %d rows were found", found)
	}
}

// S0-24, S0-33, S0-34: docs/agent.md answers where people look.
func TestAnchorsOfTheAgentsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "agent.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range []string{"Config options", "Expose", "Host header", "Global locations", "Custom domains", "When you need no tunnel"} {
		if !regexp.MustCompile(`(?m)^##+ ` + heading + `$`).Match(page) {
			t.Errorf("docs/agent.md has no heading %q", heading)
		}
	}
}

// Links between the documents lead somewhere.
func TestDocumentLinks(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, more...)
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		pages = append(pages, filepath.Join(root, name))
	}
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(match[1]))); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
}
