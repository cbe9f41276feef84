// Releasetool builds what a release consists of: one archive for each system with
// the binary, the licence and links under the names of the programs that it stands
// in for, and a file of checksums. The same commit, version and Go toolchain give
// the same bytes on any machine.
//
// Links are symbolic links in the tar archives. Windows cannot unpack those without
// special rights, so the zip archives hold copies: larger, but ready to run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern/internal/run"
)

func main() {
	version := flag.String("version", "", "version to release, like 1.2.3")
	out := flag.String("out", "dist", "folder for the archives")
	only := flag.String("only", "", "build for these systems only, like linux/amd64,windows/arm64")
	flag.Parse()
	ctx, stop := run.SignalContext(context.Background())
	defer stop()
	if err := release(ctx, *version, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "releasetool:", err)
		os.Exit(1)
	}
}

// target is a system that we release for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

func targets() []target {
	list := []target{{"linux", "386"}}
	for _, system := range []string{"linux", "darwin", "windows", "freebsd"} {
		list = append(list, target{system, "amd64"}, target{system, "arm64"})
	}
	return list
}

// selectTargets picks from targets by a comma-separated list; "" is all.
func selectTargets(only string) ([]target, error) {
	if only == "" {
		return targets(), nil
	}
	var picked []target
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, t := range targets() {
			if t.String() == name {
				picked, found = append(picked, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-only: %q is not one of %v", name, targets())
		}
	}
	return picked, nil
}

func release(ctx context.Context, version, out, only string) error {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(version) {
		return fmt.Errorf("-version: %q is not a version like 1.2.3 or 1.2.3-rc.1", version)
	}
	list, err := selectTargets(only)
	if err != nil {
		return err
	}
	at, err := epoch(ctx)
	if err != nil {
		return err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return fmt.Errorf("run releasetool from the module's root: %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var names []string
	for _, t := range list {
		fmt.Println(t)
		binary, err := build(ctx, t, version)
		if err != nil {
			return err
		}
		name := archiveName(version, t)
		if err := writeArchive(filepath.Join(out, name), t, contents(t, binary, licence), at); err != nil {
			return err
		}
		names = append(names, name)
	}
	return writeChecksums(out, "postern_"+version+"_checksums.txt", names)
}

// epoch is the time that every entry of the archives carries: SOURCE_DATE_EPOCH
// (reproducible-builds.org), else that of the commit.
func epoch(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, errors.New("set SOURCE_DATE_EPOCH: the commit's time cannot be had from git")
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// build compiles a static binary and returns it.
func build(ctx context.Context, t target, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "postern-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "postern")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.release="+version, "-o", file, "./cmd/postern")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("building for %s: %w", t, err)
	}
	return os.ReadFile(file)
}
