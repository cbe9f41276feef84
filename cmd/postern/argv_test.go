package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func testRoot() (streams ioStreams) {
	return ioStreams{Name: "postern", In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}
}

func TestNormalizeArgs(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"http 8080 -bind-tls=true", "http 8080 --bind-tls=true"}, // S0-25
		{"http 3000 -auth=u:p", "http 3000 --auth=u:p"},           // S2-5
		{"http -log stdout -log-format=json 80", "http --log stdout --log-format=json 80"},
		{"-h", "-h"},
		{"--all -", "--all -"},
		{"http -metadata -secret-looking 80", "http --metadata -secret-looking 80"},
		{"http -metadata –x 80", "http --metadata –x 80"},
		{"http --name=-x 80", "http --name=-x 80"},
		{"start -all -config f", "start --all --config f"},
		{"http -pooling-enabled -nosuch 80", "http --pooling-enabled --nosuch 80"},
		{"http -inspect false 80", "http --inspect=false 80"},
		{"http -inspect 80", "http --inspect 80"},
		{"http -- -80", "http -- -80"},
		{"http -8080", "http -8080"},
		{"server -data-dir /x -version", "server --data-dir /x --version"},
		{"--config f http 80", "http --config f 80"},
		{"-config=f -config g start web -config h", "start --config=f --config g web --config h"}, // S1-39
		{"--config f config add-authtoken t", "config add-authtoken --config f t"},
		{"--config http http 80", "http --config http 80"},
		{"--config", "--config"},
		{"--version", "--version"},
		{"--all -- start", "--all -- start"},
	} {
		got, err := normalizeArgs(rootCommand(testRoot()), strings.Fields(c.given))
		if joined := strings.Join(got, " "); err != nil || joined != c.want {
			t.Errorf("%q became %q, want %q (%v)", c.given, joined, c.want, err)
		}
	}
}

// The command lines of ngrok 1.x.
func TestFirstGenerationArgs(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"80", "http 80"},
		{"-subdomain=x 80", "http -subdomain=x 80"},
		{"-log stdout -hostname h.example.com localhost:80", "http -log stdout -hostname h.example.com localhost:80"},
		{"-httpauth=u:p 80", "http --basic-auth=u:p 80"},
		{"-httpauth u:p [::1]:80", "http --basic-auth=u:p [::1]:80"},
		{"-proto=tcp 22", "tcp 22"},
		{"-proto http+https 80", "http --scheme=http,https 80"},
		{"-proto=gopher 80", "http --scheme=gopher 80"},
		{"80 81", "http 80 81"},
		{"http://h:80", "http http://h:80"},
		{"start 80", "start 80"},
		{"http 80", "http 80"},
		{"--config 80", "--config 80"},
		{"--nosuch 80", "--nosuch 80"},
		{"0", "0"}, {"70000", "70000"}, {"localhost", "localhost"}, {"-- 80", "-- 80"}, {"-80", "-80"}, {"", ""},
	} {
		got, remarks := firstGenerationArgs(rootCommand(testRoot()), strings.Fields(c.given))
		if joined := strings.Join(got, " "); joined != c.want || (joined != c.given) != (remarks != nil) {
			t.Errorf("%q became %q, want %q; %q", c.given, joined, c.want, remarks)
		}
	}
}

// Normalising adds dashes and joins what a switch is set to, and a second time changes
// nothing.
func FuzzNormalizeArgs(f *testing.F) {
	for _, seed := range []string{"http -log stdout 80", "–config f", "-- -x", "-", "-=a", "--a=b -c", "-–-a", "-inspect false", "-config f http", "-a=“x”"} {
		f.Add(seed)
	}
	root := rootCommand(testRoot())
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		once, err := normalizeArgs(root, args)
		if err != nil {
			return
		}
		if got, want := letters(once), letters(args); !slices.Equal(got, want) {
			t.Fatalf("%q became %q", args, once)
		}
		if twice, err := normalizeArgs(root, once); err != nil || !slices.Equal(twice, once) {
			t.Fatalf("%q became %q, then %q (%v)", args, once, twice, err)
		}
	})
}

// letters are the bytes of a command line that mean something, in any order.
func letters(args []string) []byte {
	text := []byte(strings.NewReplacer("-", "", "=", "").Replace(strings.Join(args, "")))
	slices.Sort(text)
	return text
}
