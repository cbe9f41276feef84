package main

import (
	"path/filepath"
	"strings"
)

// ngrokVersion is the generation of ngrok's agent whose command line and output this
// program answers with under that agent's name. Wrappers parse it as three numbers.
const ngrokVersion = "3.39.0"

// programName tells under which name the program was started, by its argument 0:
// "ngrok" or "outsystemscc" through a link or a copy of that name, else "postern".
func programName(argument string) string {
	base := strings.ToLower(filepath.Base(strings.ReplaceAll(argument, `\`, "/")))
	switch name := strings.TrimSuffix(base, ".exe"); name {
	case "ngrok", "outsystemscc":
		return name
	}
	return "postern"
}

// asNgrok tells whether the program answers as ngrok's agent.
func (s ioStreams) asNgrok() bool { return s.Name == "ngrok" }

// asOutsystemscc tells whether the program answers as outsystemscc.
func (s ioStreams) asOutsystemscc() bool { return s.Name == "outsystemscc" }

// versionText is what "version" prints.
func (s ioStreams) versionText() string {
	if s.asNgrok() {
		return "ngrok version " + ngrokVersion
	}
	if s.asOutsystemscc() {
		return "outsystemscc version " + outsystemsccVersion + " (Postern " + version() + ")"
	}
	return "postern version " + version()
}
