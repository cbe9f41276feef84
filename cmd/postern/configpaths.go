package main

import (
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// home is the user's directory, "" where the environment does not say.
func (s ioStreams) home() string {
	if runtime.GOOS == "windows" {
		return s.Env("USERPROFILE")
	}
	return s.Env("HOME")
}

// defaultPaths are the files that count without --config; later ones win. Under the
// name of ngrok's agent its own files do.
func (s ioStreams) defaultPaths() []string {
	paths := config.DefaultPaths(runtime.GOOS, s.home(), s.Env)
	if n := len(paths); s.asNgrok() && n > 0 {
		paths = append([]string{paths[n-1]}, paths[:n-1]...)
	}
	return paths
}

// savePath is the file that commands change which save something: the one of
// --config, else the default one. Under the name of ngrok's agent that is ngrok's
// file, the older place only where nothing else is there.
func (s ioStreams) savePath(given []string) (string, error) {
	given = splitPaths(given)
	if len(given) > 1 {
		return "", postern.Errorf(postern.CodeFlagInvalid, "--config names %d files; this command changes one", len(given))
	}
	if len(given) == 1 {
		return given[0], nil
	}
	paths := s.defaultPaths()
	if len(paths) == 0 {
		return "", postern.Errorf(postern.CodeFlagInvalid, "there is no home directory to keep a configuration file in; give --config FILE")
	}
	path := paths[len(paths)-1]
	if s.asNgrok() && !exists(path) {
		if older := paths[len(paths)-2]; strings.Contains(older, ".ngrok2") && exists(older) {
			return older, nil
		}
	}
	return path, nil
}

// splitPaths takes "a.yml,b.yml" apart, unless a file has that very name.
func splitPaths(given []string) []string {
	var paths []string
	for _, path := range given {
		if !strings.Contains(path, ",") || exists(path) {
			paths = append(paths, path)
			continue
		}
		paths = append(paths, slices.DeleteFunc(strings.Split(path, ","), func(p string) bool { return p == "" })...)
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
