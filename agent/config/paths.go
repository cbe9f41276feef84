package config

import "path/filepath"

// DefaultPaths are where an agent without --config looks, in order: what comes later
// counts more. ngrok's own places come first, so that an installation of theirs just
// works and Postern's file wins over it. home and env are the user's; of a system
// that does not know them nothing is looked for.
func DefaultPaths(goos, home string, env func(string) string) []string {
	var paths []string
	if home != "" {
		paths = append(paths, filepath.Join(home, ".ngrok2", "ngrok.yml"))
	}
	if dir := settings(goos, home, env); dir != "" {
		paths = append(paths, filepath.Join(dir, "ngrok", "ngrok.yml"))
	}
	if own := DefaultPath(goos, home, env); own != "" {
		paths = append(paths, own)
	}
	return paths
}

// DefaultPath is where Postern's own file is, and where commands that save something
// save it. "" where there is no home.
func DefaultPath(goos, home string, env func(string) string) string {
	dir := settings(goos, home, env)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "postern", "postern.yml")
}

// settings is where programs of a user keep their settings; "" for nowhere.
func settings(goos, home string, env func(string) string) string {
	below := func(elements ...string) string {
		if home == "" {
			return ""
		}
		return filepath.Join(append([]string{home}, elements...)...)
	}
	switch goos {
	case "windows":
		if dir := env("LOCALAPPDATA"); dir != "" {
			return dir
		}
		return below("AppData", "Local")
	case "darwin":
		return below("Library", "Application Support")
	}
	if dir := env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return below(".config")
}
