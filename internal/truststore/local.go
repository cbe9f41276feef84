package truststore

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
)

// Local is this machine, for the user who runs this; under sudo, for whoever called it.
func Local() Machine {
	m := Machine{OS: runtime.GOOS, Superuser: os.Geteuid() == 0, Look: exec.LookPath, Run: Execute, Getenv: os.Getenv}
	if runtime.GOOS != "windows" {
		m.Home = os.Getenv("HOME")
	}
	if caller := os.Getenv("SUDO_USER"); m.Superuser && caller != "" && caller != "root" {
		if found, err := user.Lookup(caller); err == nil {
			m.Home, m.As = found.HomeDir, caller
		}
	}
	if folder, err := os.UserConfigDir(); err == nil {
		m.Records = filepath.Join(folder, "postern", "trusted")
	}
	return m
}
