package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func testRoot() (streams ioStreams) {
	return ioStreams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}
}

func TestNormalizeArgs(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"http 8080 -bind-tls=true", "http 8080 --bind-tls=true"}, // S0-25
		{"http -log stdout -log-format=json 80", "http --log stdout --log-format=json 80"},
		{"start a –config f.yml", "start a --config f.yml"}, // S1-38
		{"start a —config=f.yml", "start a --config=f.yml"},
		{"-h", "-h"},
		{"--all -", "--all -"},
		{"http -metadata -secret-looking 80", "http --metadata -secret-looking 80"},
		{"http --name=-x 80", "http --name=-x 80"},
		{"start -all -config f", "start --all --config f"},
		{"http -pooling-enabled -nosuch 80", "http --pooling-enabled --nosuch 80"},
		{"http -- -80", "http -- -80"},
		{"http -8080", "http -8080"},
		{"server -data-dir /x -version", "server --data-dir /x --version"},
	} {
		if got := strings.Join(normalizeArgs(rootCommand(testRoot()), strings.Fields(c.given)), " "); got != c.want {
			t.Errorf("%q became %q, want %q", c.given, got, c.want)
		}
	}
}

// Normalising adds dashes and nothing else, and a second time changes nothing.
func FuzzNormalizeArgs(f *testing.F) {
	for _, seed := range []string{"http -log stdout 80", "–config f", "-- -x", "-", "-=a", "--a=b -c", "-–-a"} {
		f.Add(seed)
	}
	root := rootCommand(testRoot())
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		once := normalizeArgs(root, args)
		if len(once) != len(args) {
			t.Fatalf("%q became %q", args, once)
		}
		for i := range args {
			if trim(once[i]) != trim(args[i]) {
				t.Fatalf("%q became %q", args[i], once[i])
			}
		}
		if twice := normalizeArgs(root, once); !slices.Equal(twice, once) {
			t.Fatalf("%q became %q, then %q", args, once, twice)
		}
	})
}

func trim(arg string) string { return strings.TrimLeft(arg, "-–—") }
