package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/arch"
)

const modulePath = "github.com/postern-dev/postern"

func TestTheHouse(t *testing.T) {
	module, err := arch.Load(filepath.Join("..", "..", ".."), modulePath)
	if err != nil {
		t.Fatal(err)
	}
	if len(module.Packages) < 8 {
		t.Fatalf("only %d packages were found", len(module.Packages))
	}
	t.Run("imports", func(t *testing.T) { report(t, module.CheckImports()) })
	t.Run("habits", func(t *testing.T) { report(t, module.CheckHabits()) })
	t.Run("clocks", func(t *testing.T) { report(t, module.CheckClocks()) }) // B5-16
}

func report(t *testing.T, faults []string) {
	t.Helper()
	slices.Sort(faults)
	for _, fault := range slices.Compact(faults) {
		t.Error(fault)
	}
}

// build writes a small module and checks it.
func build(t *testing.T, files map[string]string) []string {
	t.Helper()
	module := load(t, files)
	return append(module.CheckImports(), module.CheckHabits()...)
}

func load(t *testing.T, files map[string]string) *arch.Module {
	t.Helper()
	root := t.TempDir()
	files["doc.go"] = "package postern"
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "~", modulePath)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	module, err := arch.Load(root, modulePath)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestFaultsAreFound(t *testing.T) {
	type files = map[string]string
	for name, c := range map[string]struct {
		files files
		want  string // part of the one fault; "" for none
	}{
		"downwards":    {files{"link/l.go": "package link\nimport _ `~`"}, ""},
		"sideways":     {files{"link/l.go": "package link\nimport _ `~/relay`", "relay/r.go": "package relay"}, "never sideways"},
		"upwards":      {files{"internal/obs/o.go": "package obs\nimport _ `~/link`", "link/l.go": "package link"}, "(level 1) imports link (level 2)"},
		"one room":     {files{"server/pki/p.go": "package pki\nimport _ `~/server/pki/acme`", "server/pki/acme/a.go": "package acme"}, ""},
		"no room":      {files{"util/u.go": "package util"}, "util is in no room"},
		"root imports": {files{"x.go": "package postern\nimport _ `~/ui`", "ui/u.go": "package ui"}, "standard library"},
		"root foreign": {files{"x.go": "package postern\nimport _ `golang.org/x/net/idna`"}, "standard library"},
		"edge to store": {files{
			"server/edge/e.go":  "package edge\nimport _ `~/server/pki`",
			"server/pki/p.go":   "package pki\nimport _ `~/server/store`",
			"server/store/s.go": "package store",
		}, "server/edge → server/pki → server/store: a dead database"},
		"edge to sql": {files{"server/edge/e.go": "package edge\nimport _ `database/sql`"}, "a dead database"},
		"wings": {files{
			"agent/a.go": "package agent\nimport _ `~/server/event`", "server/event/e.go": "package event",
		}, "the two wings"},
		"wire to server": {files{
			"link/ngrok/n.go": "package ngrok\nimport _ `~/server/event`", "server/event/e.go": "package event",
		}, "wire adapters"},
		"engine":         {files{"server/service/s.go": "package service\nimport _ `modernc.org/sqlite`"}, "which engine"},
		"engine allowed": {files{"server/s.go": "package server\nimport _ `modernc.org/sqlite`"}, ""},
		"testkit in product": {files{
			"relay/r.go": "package relay\nimport _ `~/internal/testkit`", "internal/testkit/t.go": "package testkit",
		}, "stay out of the product"},
		"testkit in test": {files{
			"relay/r_test.go": "package relay\nimport _ `~/internal/testkit`", "internal/testkit/t.go": "package testkit",
		}, ""},
		"test reaches up": {files{
			"relay/r_test.go": "package relay\nimport _ `~/server/edge`", "server/edge/e.go": "package edge",
		}, "belong into e2e"},
		"log":            {files{"relay/r.go": "package relay\nimport _ `log`"}, "log/slog"},
		"init":           {files{"relay/r.go": "package relay\nfunc init() {}"}, "init function"},
		"init method":    {files{"relay/r.go": "package relay\ntype t int\nfunc (t) init() {}"}, ""},
		"counter":        {files{"relay/r.go": "package relay\nvar count int"}, "count may change"},
		"exported table": {files{"relay/r.go": "package relay\nvar Table = []int{1}"}, "Table may change"},
		"table":          {files{"relay/r.go": "package relay\nvar table = map[int]int{1: 2}"}, ""},
		"written table":  {files{"relay/r.go": "package relay\nvar table = map[int]int{}\nfunc f() { table[1] = 2 }"}, "table may change"},
		"computed":       {files{"relay/r.go": "package relay\nvar table = words(`a b`)\nfunc words(string) []int { return nil }"}, ""},
		"made":           {files{"relay/r.go": "package relay\nvar cache = newCache()\nfunc newCache() *int { return nil }"}, "cache may change"},
		"fuzz skip":      {files{"relay/r_test.go": "package relay\nimport `testing`\nfunc FuzzX(f *testing.F) { f.Skip() }"}, ""},
		"sentinel":       {files{"relay/r.go": "package relay\nimport `errors`\nvar ErrGone = errors.New(`gone`)"}, ""},
		"guard":          {files{"relay/r.go": "package relay\nvar _ error = nil"}, ""},
		"pool":           {files{"relay/r.go": "package relay\nimport `sync`\nvar pool = sync.Pool{New: func() any { return nil }}"}, ""},
		"embedded":       {files{"relay/r.go": "package relay\nimport _ `embed`\n//go:embed x.txt\nvar text string"}, ""},
		"generated":      {files{"relay/r.go": "// Code generated by x. DO NOT EDIT.\n\npackage relay\nvar count int"}, ""},
		"sleep":          {files{"relay/r_test.go": "package relay\nimport `time`\nfunc f() { time.Sleep(1) }"}, "sleeps"},
		"virtual sleep":  {files{"relay/r_test.go": "package relay\nimport (\"testing/synctest\"; `time`)\nfunc f() { synctest.Test(nil, func() { time.Sleep(1) }) }"}, ""},
		"skip":           {files{"relay/r_test.go": "package relay\nimport `testing`\nfunc f(t *testing.T) { t.Skip() }"}, "skips a test"},
		"long file":      {files{"relay/r.go": "package relay" + strings.Repeat("\n", 460)}, "450 holds"},
		"long function":  {files{"relay/r.go": "package relay\nfunc f() {" + strings.Repeat("\n", 90) + "}"}, "80 does"},
		"other module":   {files{"bench/go.mod": "module bench", "bench/b.go": "package main\nvar count int"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			faults := build(t, c.files)
			switch {
			case c.want == "" && len(faults) > 0:
				t.Errorf("unexpected: %q", faults)
			case c.want != "" && (len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), c.want)):
				t.Errorf("found %q, want a fault with %q", faults, c.want)
			}
		})
	}
}

// B5-16: what loses the monotonic reading is found.
func TestClocksAreFound(t *testing.T) {
	for text, want := range map[string]bool{
		"at.UTC()": true, "at.UnixNano()": true, "time.Now().Round(0)": true, "at.Unix() - 3": true,
		"at.UTC().Format(time.RFC3339)": false, "took.Round(time.Second)": false, "time.Unix(1, 0)": false, "at.Sub(began)": false,
	} {
		module := load(t, map[string]string{"relay/pipe.go": "package relay\nvar x = " + text})
		found := strings.Contains(strings.Join(module.CheckClocks(), "\n"), "relay/pipe.go:2 takes the monotonic reading off")
		if found != want {
			t.Errorf("%s: found %t", text, found)
		}
	}
}
