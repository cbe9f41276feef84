package main

import (
	"path/filepath"
	"strings"
)

// ngrokVersion is the generation of ngrok's agent whose command line and output this
// program answers with under that agent's name. Wrappers parse it as three numbers.
const ngrokVersion = "3.39.0"

// programName tells under which name the program was started, by its argument 0:
// "ngrok" through a link or a copy of that name, else "postern".
func programName(argument string) string {
	base := strings.ToLower(filepath.Base(strings.ReplaceAll(argument, `\`, "/")))
	if strings.TrimSuffix(base, ".exe") == "ngrok" {
		return "ngrok"
	}
	return "postern"
}

// asNgrok tells whether the program answers as ngrok's agent.
func (s ioStreams) asNgrok() bool { return s.Name == "ngrok" }

// versionText is what "version" prints.
func (s ioStreams) versionText() string {
	if s.asNgrok() {
		return "ngrok version " + ngrokVersion
	}
	return "postern version " + version()
}
